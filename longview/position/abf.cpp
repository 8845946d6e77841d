// Adjusted base frequency (arXiv:2309.16039): another base, which slows every pair but the first. Meant for models trained on with it.
#include "longview/position/methods.h"

namespace longview {
namespace {

struct AbfConfig {
  double base = 500000;
  void fields(auto&& field) { field("base", base, "the rotary base instead of the checkpoint's, above 1"); }
};

struct Abf final : Frequencies {
  Abf(AbfConfig c, const Rotary& rotary) : Frequencies(with_base(rotary, c.base)) {}
};

}  // namespace

std::shared_ptr<const Position> make_abf(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(AbfConfig{}, setting);
  LV_CHECK(c.base > 1, "[abf] base must be above 1; got {}", c.base);
  return made<Abf>("abf", c, rotary);
}

}  // namespace longview
