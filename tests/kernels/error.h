// How far a result may be from its float64 definition. No test chooses a tolerance: a kernel may err twice as much as the plain
// formula does in the same dtype, or as the exact result does once it is rounded to that dtype.
#pragma once

#include <gtest/gtest.h>

#include "longview/base/tensor.h"

namespace longview::testing {

/// Largest absolute difference; infinite when the shapes differ or a value is NaN in one of them only.
inline double largest_difference(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return INFINITY;
  if (a.numel() == 0) return 0;
  const Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  const Tensor same = (x == y).logical_or(x.isnan().logical_and(y.isnan()));  // infinities of one sign are the same
  return (x - y).abs().masked_fill(same, 0).nan_to_num(INFINITY).max().item<double>();
}

/// Root of the mean square difference.
inline double mean_difference(const Tensor& a, const Tensor& b) {
  return a.numel() == 0 ? 0 : (a.to(at::kDouble) - b.to(at::kDouble)).square().mean().sqrt().item<double>();
}

/// `ours` against `exact` (f64), measured by what the plain formula makes of it in the dtype of `ours`: its error over all values
/// is at most twice as large (of gradients three times). The largest single error is a matter of luck: twice as much again.
inline ::testing::AssertionResult as_exact_as_plain(const Tensor& ours, const Tensor& plain, const Tensor& exact,
                                                    double allowed = 2) {
  if (exact.scalar_type() != at::kDouble || plain.scalar_type() != ours.scalar_type() || plain.sizes() != exact.sizes())
    return ::testing::AssertionFailure() << "a plain result of the same dtype and an exact one in f64 are needed";
  const Tensor rounded = exact.to(ours.scalar_type());
  const auto bound = [&](auto difference, double times) {
    return times * std::max(difference(plain, exact), difference(rounded, exact));
  };
  const double worst = largest_difference(ours, exact), most = bound(largest_difference, 2 * allowed);
  if (!(worst <= most)) return ::testing::AssertionFailure() << fmt::format("largest error {:.3g}, allowed {:.3g}", worst, most);
  const double mean = mean_difference(ours, exact), usual = bound(mean_difference, allowed);
  if (mean <= usual) return ::testing::AssertionSuccess() << fmt::format("mean error {:.3g}, allowed {:.3g}", mean, usual);
  return ::testing::AssertionFailure() << fmt::format("mean error {:.3g}, {} times the plain one is {:.3g}", mean, allowed, usual);
}

/// Whether two tensors hold the same bits.
inline ::testing::AssertionResult same_bits(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return ::testing::AssertionFailure() << shape_text(a) << " and " << shape_text(b);
  if (a.scalar_type() != b.scalar_type()) return ::testing::AssertionFailure() << "the dtypes differ";
  const Tensor x = a.contiguous(), y = b.contiguous();
  if (std::memcmp(x.data_ptr(), y.data_ptr(), static_cast<size_t>(x.nbytes())) == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << fmt::format("they differ by up to {:.3g}", largest_difference(a, b));
}

}  // namespace longview::testing
