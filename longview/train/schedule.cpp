// Warm-up, then a constant rate and a fall.
#include "longview/train/schedule.h"

#include <algorithm>
#include <cmath>

#include "longview/base/check.h"
#include "longview/base/names.h"

namespace longview {

void check(const ScheduleConfig& c) {
  LV_CHECK(c.rate > 0, "[schedule] rate must be above 0; got {}", c.rate);
  LV_CHECK(c.warmup >= 0, "[schedule] warmup must not be negative; got {}", c.warmup);
  LV_CHECK(c.decay_from >= 0 && c.decay_from < 1, "[schedule] decay_from must be from 0 to below 1; got {}", c.decay_from);
  LV_CHECK(c.least >= 0 && c.least <= 1, "[schedule] least must be from 0 to 1; got {}", c.least);
  const std::vector<std::string> known = {"constant", "cosine", "linear", "wsd"};
  if (std::find(known.begin(), known.end(), c.shape) == known.end()) fail("[schedule] {}", unknown_name("shape", c.shape, known));
}

double learning_rate(const ScheduleConfig& c, int64_t step, int64_t steps) {
  if (step <= c.warmup) return c.rate * static_cast<double>(step) / static_cast<double>(c.warmup);
  if (c.shape == "constant") return c.rate;
  const double usual = c.shape == "wsd" ? 0.9 : 0;
  const double from =
      std::max(static_cast<double>(c.warmup), (c.decay_from > 0 ? c.decay_from : usual) * static_cast<double>(steps));
  const double share = std::clamp((static_cast<double>(step) - from) / std::max(1.0, static_cast<double>(steps) - from), 0.0, 1.0);
  const double left = c.shape == "cosine" ? (1 + std::cos(share * M_PI)) / 2 : 1 - share;
  return c.rate * (c.least + (1 - c.least) * left);
}

}  // namespace longview
