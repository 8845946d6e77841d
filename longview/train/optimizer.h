// Optimisers: what a gradient does to a group of parameters. Their state is named flat tensors, so that it can be saved, counted and split.
#pragma once

#include "longview/base/fields.h"
#include "longview/base/registry.h"
#include "longview/train/parameters.h"

namespace longview {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Changes group.master by the gradient [P], f32, already clipped; `step` counts from 1.
  virtual void step(ParameterGroup& group, const Tensor& gradient, double rate, int64_t step) = 0;
  /// Whether a number's step depends on its own gradients alone, so that ranks can take a part of a group each; then `state` is as long as
  /// the master, and its names begin with the group's.
  virtual bool is_elementwise() const { return false; }
  /// Tensors by name ("matrices.m"), to be saved; the same come back with restore.
  std::map<std::string, Tensor> state;
};

using MakeOptimizer = std::unique_ptr<Optimizer> (*)(const Setting&);
using OptimizerEntry = Entry<MakeOptimizer>;
std::span<const OptimizerEntry> optimizers();

/// "adamw:beta1=0.9,beta2=0.95"; an unknown name or setting is an error that lists the known ones.
std::unique_ptr<Optimizer> make_optimizer(std::string_view setting);

}  // namespace longview
