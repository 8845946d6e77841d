// The learning rate by step.
#pragma once

#include <cstdint>
#include <string>

#include "longview/base/registry.h"

namespace longview {

struct ScheduleConfig {
  double rate = 1e-3;
  int64_t warmup = 100;          // steps to reach it, in a line
  std::string shape = "cosine";  // cosine, linear, constant, or wsd: constant until `decay_from`, then a line
  double decay_from = 0;         // share of the run after which the rate falls; cosine and linear: 0 is right after the warm-up
  double least = 0.04;           // of the rate, at the end
  void fields(auto&& field) {
    field("rate", rate, "learning rate");
    field("warmup", warmup, "steps to reach it, in a line");
    field("shape", shape, "cosine, linear, constant, or wsd (warm-up, stable, decay: falls in a line over the last tenth)");
    field("decay_from", decay_from, "share of the run after which the rate falls");
    field("least", least, "share of the rate at the end");
  }
};

/// What is left of the rate, from 1 to 0, when a share of the fall has passed.
using ScheduleShape = double (*)(double share);
using ScheduleEntry = Entry<ScheduleShape>;
std::span<const ScheduleEntry> schedules();

/// Throws on values that make no sense.
void check(const ScheduleConfig& config);

/// The learning rate of a step, from 1 to `steps`.
double learning_rate(const ScheduleConfig& config, int64_t step, int64_t steps);

}  // namespace longview
