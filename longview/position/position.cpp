// RoPE, the default of every hook (arXiv:2104.09864): theta_m = base^(-2m/D), distance i - j.
#include "longview/position/position.h"

#include <algorithm>

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

Tensor Position::value(const std::string& name, at::Device device) const {
  const auto own = learned();
  const auto wanted = std::find_if(own.begin(), own.end(), [&](const LearnedValue& x) { return x.name == name; });
  LV_CHECK(wanted != own.end(), "[{}] has no learned value '{}'", setting, name);
  const auto given = rotary_.values.find(name);
  if (given == rotary_.values.end()) return wanted->initial.to(device, at::kDouble);
  LV_CHECK(given->second.sizes() == wanted->initial.sizes(), "[{}] the learned value '{}' must be {}; got {}", setting, name,
           shape_text(wanted->initial), shape_text(given->second));
  return given->second.to(device, at::kDouble);
}

Pieces every_key() {
  return std::vector{Piece{[](int64_t i) { return std::pair<int64_t, int64_t>(0, i + 1); }, {}, {}, {}, {}}};
}

Rotary unscaled(Rotary rotary) {
  rotary.scaling = "";
  return rotary;
}

Distances::Distances(const Rotary& rotary)
    : Position(rotary), own_(make_position(rotary.scaling.empty() ? "rope" : rotary.scaling, unscaled(rotary))) {}

kernels::Rotation Position::rotation(int64_t length, const Place& place, int64_t first, int64_t count, at::Device device) const {
  return (place.at ? *place.table : table_).rows(theta(length), first, count, place.at, device);
}

}  // namespace longview
