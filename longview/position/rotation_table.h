// cos and sin for positions 0, 1, 2, ..., remembered between calls and grown as a text grows.
#pragma once

#include <mutex>

#include "longview/base/tensor.h"
#include "longview/kernels/attention.h"

namespace longview {

/// Remembers the rows of a pure function of (theta, position); safe to share between threads. Angles are computed in f64.
class RotationTable {
 public:
  /// Rows [first, first+count) for theta f64 [M]: f32 [count,M] each, views of the table. `at` (always the same for a table) says
  /// which angle in steps belongs to a row; empty: the row's number. The rows are kept on `device`.
  kernels::Rotation rows(const Tensor& theta, int64_t first, int64_t count, const std::function<double(int64_t)>& at = {},
                         at::Device device = at::kCPU) const;

 private:
  mutable std::mutex mutex_;
  mutable Tensor theta_, cos_, sin_;
};

}  // namespace longview
