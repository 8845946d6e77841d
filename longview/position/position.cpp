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
Pieces Position::pieces() const { return std::nullopt; }

const Pieces& Position::fused() const {
  std::call_once(is_made_, [this] { pieces_ = pieces(); });
  return pieces_;
}

Pieces every_key() {
  return std::vector{Piece{[](int64_t i) { return std::pair<int64_t, int64_t>(0, i + 1); }, {}, {}}};
}

Distances::Distances(const Rotary& rotary)
    : Position(rotary),
      own_(make_position(rotary.scaling.empty() ? "rope" : rotary.scaling,
                         {rotary.head_width, rotary.base, rotary.trained_length, ""})) {}

kernels::Rotation Position::rotation(int64_t length, const Place& place, int64_t first, int64_t count, at::Device device) const {
  return (place.at ? *place.table : table_).rows(theta(length), first, count, place.at, device);
}

}  // namespace longview
