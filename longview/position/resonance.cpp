// Resonance RoPE (arXiv:2403.00071): wavelengths rounded to whole numbers, so that a pair that turned within the trained length meets
// only angles it has met before. On top of another table of frequencies.
//   theta'_m = 2 pi / round(2 pi / theta_m)
#include "longview/position/methods.h"

namespace longview {
namespace {

struct ResonanceConfig {
  std::string over = "yarn";
  double factor = 4;
  void fields(auto&& field) {
    field("over", over, "the method whose wavelengths are rounded: rope, linear, ntk, ntk_mixed, ntk_by_parts or yarn");
    field("factor", factor, "that method's factor, at least 1; rope has none");
  }
};

struct Resonance final : Frequencies {
  Resonance(const ResonanceConfig& c, const Rotary& rotary)
      : Frequencies(rotary),
        inner(make_position(c.over == "rope" ? "rope" : fmt::format("{}:factor={}", c.over, c.factor), rotary)) {}
  Tensor theta(int64_t length) const override { return 2 * M_PI / at::round(2 * M_PI / inner->theta(length)); }  // [D/2]
  Tensor scale(const Tensor& i, int64_t length) const override { return inner->scale(i, length); }               // [Tq]
  std::shared_ptr<const Position> inner;
};

}  // namespace

std::shared_ptr<const Position> make_resonance(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(ResonanceConfig{}, setting);
  const std::vector<std::string> known{"linear", "ntk", "ntk_by_parts", "ntk_mixed", "rope", "yarn"};
  LV_CHECK(std::find(known.begin(), known.end(), c.over) != known.end(), "[resonance] {}",
           unknown_name("method for 'over'", c.over, known));
  return made<Resonance>("resonance", c, rotary);
}

}  // namespace longview
