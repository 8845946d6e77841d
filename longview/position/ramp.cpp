#include "longview/position/ramp.h"

namespace longview {

double pair_of_turns(const Rotary& rotary, int64_t original, double turns) {
  return static_cast<double>(rotary.head_width) * std::log(static_cast<double>(original) / (turns * 2 * M_PI)) /
         (2 * std::log(rotary.base));
}

Tensor pair_ramp(const Rotary& rotary, int64_t original, double fast, double slow) {
  const double last = static_cast<double>(rotary.head_width) - 1;
  const double low = std::max(std::floor(pair_of_turns(rotary, original, fast)), 0.0),
               high = std::min(std::ceil(pair_of_turns(rotary, original, slow)), last);
  const Tensor m = at::arange(rotary.head_width / 2, at::kDouble);      // [D/2]
  return ((m - low) / (high == low ? 0.001 : high - low)).clamp(0, 1);  // [D/2]
}

}  // namespace longview
