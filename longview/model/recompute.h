// Activation recomputation (arXiv:1604.06174): of a layer only what goes in is kept; on the way back it is computed again.
#pragma once

#include "longview/model/block.h"

namespace longview {

using RunBlock = std::function<BlockResult(const Tensor& x, State state)>;

/// What `run` gives for x and state, with the same gradients; `run` is kept until they are made and must be repeatable.
BlockResult recomputed(RunBlock run, const Tensor& x, State state);

}  // namespace longview
