#include "longview/position/bias.h"

#include <algorithm>

namespace longview {
namespace {

Tensor on_device(const std::vector<int64_t>& x, at::Device device) {
  return at::tensor(x, at::kLong).to(device, at::kLong, /*non_blocking=*/true);  // [Tq]
}

}  // namespace

Pieces Unrotated::pieces() const {
  auto out = every_key();
  const Tensor none = at::zeros({1}, at::kLong);  // [1]
  if (bias(none, none).defined())
    (*out)[0].bias = [this](const std::vector<int64_t>& query, int64_t key, int64_t count, const at::TensorOptions& like) {
      const Tensor j = at::arange(key, key + count, at::TensorOptions(at::kLong).device(like.device()));  // [Tk]
      return bias(on_device(query, like.device()), j).to(like);                                           // [H,Tq,Tk]
    };
  return out;
}

Tensor DistanceBias::bias(const Tensor& i, const Tensor& j) const {
  const Tensor distance = Position::distance(i, j).clamp_min(0);                          // [Tq,Tk]
  return of_distance(distance.reshape(-1)).view({rotary().heads, i.size(0), j.size(0)});  // [H,Tq,Tk]
}

Pieces DistanceBias::pieces() const {
  auto out = every_key();
  (*out)[0].bias = [this](const std::vector<int64_t>& query, int64_t key, int64_t count, const at::TensorOptions& like) {
    const auto there = at::TensorOptions(like.device());
    const int64_t farthest = std::max<int64_t>(*std::max_element(query.begin(), query.end()) - key, 0);
    const Tensor table = of_distance(at::arange(farthest + 1, there.dtype(at::kDouble)));                  // [H,n]
    const Tensor j = at::arange(key, key + count, there.dtype(at::kLong));                                 // [Tk]
    const Tensor distance = (on_device(query, like.device()).unsqueeze(-1) - j).clamp_min(0).reshape(-1);  // [Tq*Tk]
    const auto rows = static_cast<int64_t>(query.size());
    return table.to(like).index_select(1, distance).view({table.size(0), rows, count});  // [H,Tq,Tk]
  };
  return out;
}

}  // namespace longview
