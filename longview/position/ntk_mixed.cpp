// NTK-RoPE as a mixed radix (kexue.fm/archives/9706): every pair is stretched, the slow ones more; pairs count from 1 here.
//   theta'_m = theta_m / e^(a m^power),   a = ln(factor) / (D/2)^power
// power 1 is the "fixed" NTK-RoPE of that page, power 0 position interpolation.
#include "longview/position/methods.h"

namespace longview {
namespace {

struct NtkMixedConfig {
  double factor = 4, power = 0.625;
  void fields(auto&& field) {
    field("factor", factor, "how many times the slowest pair is stretched, at least 1");
    field("power", power, "how the stretch grows with the pair, 0 to 1");
  }
};

struct NtkMixed final : Frequencies {
  NtkMixed(NtkMixedConfig config, Rotary rotary) : Frequencies(std::move(rotary)), c(config) {}
  Tensor theta(int64_t length) const override {
    const double pairs = static_cast<double>(rotary().head_width) / 2;
    const double a = std::log(c.factor) / std::pow(pairs, c.power);
    const Tensor m = at::arange(1, rotary().head_width / 2 + 1, at::kDouble);  // [D/2]
    return Position::theta(length) / at::exp(a * at::pow(m, c.power));         // [D/2]; factor 1: rope to the bit
  }
  NtkMixedConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_ntk_mixed(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(NtkMixedConfig{}, setting);
  LV_CHECK(c.factor >= 1, "[ntk_mixed] factor must be at least 1; got {}", c.factor);
  LV_CHECK(c.power >= 0 && c.power <= 1, "[ntk_mixed] power must be from 0 to 1; got {}", c.power);
  return made<NtkMixed>("ntk_mixed", c, rotary);
}

}  // namespace longview
