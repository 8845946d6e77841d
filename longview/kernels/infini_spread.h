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
  Tensor text;    // int64 [B] number of the text that it is of
};

/// Why these rules cannot be spread over ranks; "": they can.
std::string spread_refusal(const MemoryRules& rules);

/// From this rank's whole segments and the memory before the first part (x.memory, the same on all ranks, not differentiated), which is
/// of the text `held` [B]; undefined: of the one that the first token is of.
SpreadMemory spread_memory(const InfiniOperands& x, const InfiniRules& rules, Communicator& ranks, const Tensor& held = {});

}  // namespace longview::kernels
