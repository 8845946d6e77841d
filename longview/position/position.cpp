// RoPE, the default of every hook (arXiv:2104.09864): theta_m = base^(-2m/D), distance i - j.
#include "longview/position/position.h"

namespace longview {

Tensor Position::theta(int64_t) const {
  const Tensor m = at::arange(rotary_.head_width / 2, at::kDouble);                    // [D/2]
  return at::pow(rotary_.base, m * (-2.0 / static_cast<double>(rotary_.head_width)));  // [D/2]
}

Tensor Position::distance(const Tensor& i, const Tensor& j) const {
  return i.to(at::kDouble).unsqueeze(-1) - j.to(at::kDouble);  // [Tq,Tk]
}

Tensor Position::scale(const Tensor& i, int64_t) const { return at::ones_like(i, at::kDouble); }
Tensor Position::gain(const Tensor&, const Tensor&) const { return {}; }
Tensor Position::bias(const Tensor&, const Tensor&) const { return {}; }

std::optional<std::vector<Piece>> Position::fused() const { return std::nullopt; }

std::optional<std::vector<Piece>> Frequencies::fused() const {
  return std::vector{Piece{[](int64_t i) { return std::pair<int64_t, int64_t>(0, i + 1); }, nullptr, nullptr}};
}

kernels::Rotation Position::rotation(int64_t length, const std::function<double(int64_t)>& map, int64_t first,
                                     int64_t count) const {
  if (!map) return table_.rows(theta(length), first, count);
  Tensor at = at::empty({count}, at::kDouble);  // [count]
  for (int64_t p = 0; p < count; ++p) at.data_ptr<double>()[p] = map(first + p);
  return rotation_at(theta(length), at);
}

}  // namespace longview
