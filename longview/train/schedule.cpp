// Warm-up, then a constant rate and a fall.
#include "longview/train/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "longview/base/check.h"
#include "longview/base/names.h"

namespace longview {
namespace {

double line(double share) { return 1 - share; }

// clang-format off
constexpr std::array kSchedules{
    ScheduleEntry{"constant", "", "the same rate after the warm-up", "", [](double) { return 1.0; }},
    ScheduleEntry{"cosine", "arXiv:1608.03983", "half a cosine down to least", "", [](double share) { return (1 + std::cos(share * M_PI)) / 2; }},
    ScheduleEntry{"linear", "", "a line down to least", "", line},
    ScheduleEntry{"wsd", "arXiv:2404.06395", "constant, then a line over the last tenth", "", line},
};
// clang-format on

}  // namespace

std::span<const ScheduleEntry> schedules() { return kSchedules; }

void check(const ScheduleConfig& c) {
  LV_CHECK(c.rate > 0, "[schedule] rate must be above 0; got {}", c.rate);
  LV_CHECK(c.warmup >= 0, "[schedule] warmup must not be negative; got {}", c.warmup);
  LV_CHECK(c.decay_from >= 0 && c.decay_from < 1, "[schedule] decay_from must be from 0 to below 1; got {}", c.decay_from);
  LV_CHECK(c.least >= 0 && c.least <= 1, "[schedule] least must be from 0 to 1; got {}", c.least);
  try {
    find(schedules(), "shape", c.shape);
  } catch (const Error& error) {
    fail("[schedule] {}", error.what());
  }
}

double learning_rate(const ScheduleConfig& c, int64_t step, int64_t steps) {
  if (step <= c.warmup) return c.rate * static_cast<double>(step) / static_cast<double>(c.warmup);
  const double usual = c.shape == "wsd" ? 0.9 : 0;
  const double from =
      std::max(static_cast<double>(c.warmup), (c.decay_from > 0 ? c.decay_from : usual) * static_cast<double>(steps));
  const double share = std::clamp((static_cast<double>(step) - from) / std::max(1.0, static_cast<double>(steps) - from), 0.0, 1.0);
  return c.rate * (c.least + (1 - c.least) * find(schedules(), "shape", c.shape).make(share));
}

}  // namespace longview
