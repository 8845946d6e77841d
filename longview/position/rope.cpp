// RoPE (arXiv:2104.09864): theta_m = base^(-2m/D), unscaled. `base` replaces the checkpoint's.
#include "longview/position/methods.h"

namespace longview {
namespace {

struct RopeConfig {
  double base = 0;
  void fields(auto&& field) { field("base", base, "rotary base; 0: the checkpoint's"); }
};

struct Rope final : Frequencies {
  Rope(const RopeConfig& c, const Rotary& rotary) : Frequencies(with_base(rotary, c.base > 0 ? c.base : rotary.base)) {}
};

}  // namespace

std::shared_ptr<const Position> make_rope(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(RopeConfig{}, setting);
  LV_CHECK(c.base == 0 || c.base > 1, "[rope] base must be above 1; got {}", c.base);
  auto method = std::make_shared<Rope>(c, rotary);
  method->setting = c.base == 0 ? "rope" : setting_text("rope", field_texts(c));
  return method;
}

}  // namespace longview
