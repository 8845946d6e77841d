// Tables of cos and sin: f64 angles, f32 results.
#include "longview/position/rotation_table.h"

#include <algorithm>

namespace longview {
namespace {

kernels::Rotation rotation_at(const Tensor& theta, const Tensor& positions) {
  const int64_t T = positions.size(0), M = theta.size(0);
  kernels::Rotation out{at::empty({T, M}), at::empty({T, M})};  // [T,M]
  const double *angle = theta.data_ptr<double>(), *position = positions.data_ptr<double>();
  float *cos = out.cos.data_ptr<float>(), *sin = out.sin.data_ptr<float>();
  at::parallel_for(0, T, 64, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin * M; n < end * M; ++n) {
      const double x = position[n / M] * angle[n % M];
      cos[n] = static_cast<float>(std::cos(x));
      sin[n] = static_cast<float>(std::sin(x));
    }
  });
  return out;
}

Tensor places(const std::function<double(int64_t)>& at, int64_t first, int64_t end) {
  Tensor out = at::arange(first, end, at::kDouble);  // [end - first]
  if (at)
    for (int64_t p = first; p < end; ++p) out.data_ptr<double>()[p - first] = at(p);
  return out;
}

}  // namespace

kernels::Rotation RotationTable::rows(const Tensor& theta, int64_t first, int64_t count, const std::function<double(int64_t)>& at,
                                      at::Device device) const {
  const std::lock_guard lock(mutex_);
  const bool is_same = theta_.defined() && cos_.device() == device && at::equal(theta_, theta);
  int64_t known = is_same ? cos_.size(0) : 0;
  if (known < first + count) {
    const int64_t wanted = std::max(first + count, is_same ? known * 3 / 2 : first + count);
    auto fresh = rotation_at(theta, places(at, known, wanted));
    fresh = {fresh.cos.to(device), fresh.sin.to(device)};
    cos_ = known > 0 ? at::cat({cos_, fresh.cos}) : fresh.cos;  // [wanted,M]
    sin_ = known > 0 ? at::cat({sin_, fresh.sin}) : fresh.sin;  // [wanted,M]
    theta_ = theta;
  }
  return {cos_.narrow(0, first, count), sin_.narrow(0, first, count)};
}

}  // namespace longview
