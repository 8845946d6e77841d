// Blends between fast and slow pairs, as YaRN (arXiv:2309.00071) and the methods before it draw them.
#pragma once

#include "longview/position/position.h"

namespace longview {

/// Pair (a real number) that makes that many turns within the original length.
double pair_of_turns(const Rotary& rotary, int64_t original, double turns);

/// 0 up to the (rounded) pair that makes `fast` turns, 1 from the one that makes `slow` turns, linear in the pair between.  [D/2]
Tensor pair_ramp(const Rotary& rotary, int64_t original, double fast, double slow);

}  // namespace longview
