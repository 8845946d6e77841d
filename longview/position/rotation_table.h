// cos and sin for positions 0, 1, 2, ..., remembered between calls and grown as a text grows.
#pragma once

#include <mutex>

#include "longview/base/tensor.h"
#include "longview/kernels/attention.h"

namespace longview {

/// Remembers the rows of a pure function of (theta, position); safe to share between threads. Angles are computed in f64.
class RotationTable {
 public:
  /// Rows [first, first+count) for theta f64 [M]: f32 [count,M] each, views of the table.
  kernels::Rotation rows(const Tensor& theta, int64_t first, int64_t count) const;

 private:
  mutable std::mutex mutex_;
  mutable Tensor theta_, cos_, sin_;
};

/// The same rows computed afresh for any positions: f64 [T] and f64 [M] -> f32 [T,M] each.
kernels::Rotation rotation_at(const Tensor& theta, const Tensor& positions);

}  // namespace longview
