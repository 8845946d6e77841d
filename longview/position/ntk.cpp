// NTK-aware RoPE (bloc97, 2023; discussed at kexue.fm/archives/9675): a larger base stretches the slow pairs by the factor and
// leaves the fast ones alone.   base' = base * factor^(D/(D-2))
#include "longview/position/methods.h"

namespace longview {
namespace {

struct NtkConfig {
  double factor = 4;
  void fields(auto&& field) { field("factor", factor, "how many times the slowest pair is stretched, at least 1"); }
};

struct Ntk final : Frequencies {
  Ntk(const NtkConfig& c, const Rotary& rotary)
      : Frequencies(with_base(rotary, rotary.base * std::pow(c.factor, exponent(rotary)))) {}
  static double exponent(const Rotary& rotary) {
    return static_cast<double>(rotary.head_width) / static_cast<double>(rotary.head_width - 2);
  }
};

}  // namespace

std::shared_ptr<const Position> make_ntk(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(NtkConfig{}, setting);
  LV_CHECK(c.factor >= 1, "[ntk] factor must be at least 1; got {}", c.factor);
  LV_CHECK(rotary.head_width > 2, "[ntk] needs heads wider than 2; this model's are {}", rotary.head_width);
  return made<Ntk>("ntk", c, rotary);
}

}  // namespace longview
