// Sequence parallelism of Infini-attention (as LASP-2, arXiv:2502.07563): a text is spread over ranks in whole segments, and a layer's ranks
// exchange once what their parts write, [M,z], whatever the length of the text. The way back exchanges once the gradients of those.
//   before_0 = start      before_r+1 = same_r+1 (added_r + stays_r before_r)      stays, same: 0 where packed texts change
#pragma once

#include "longview/kernels/infini.h"
#include "longview/parallel/communicator.h"

namespace longview::kernels {

struct SpreadMemory {
  Memory before;  // this rank's part: M [B,G,F,D], z [B,G,F], differentiable in k and v of the parts before; n [B]
  Memory after;   // the last rank's part, without gradients
};

/// Why these rules cannot be spread over ranks; "": they can.
std::string spread_refusal(const MemoryRules& rules);

/// From this rank's whole segments and the memory before the text's first part (x.memory, the same on all ranks, not differentiated).
SpreadMemory spread_memory(const InfiniOperands& x, const InfiniRules& rules, Communicator& ranks);

}  // namespace longview::kernels
