// xPos (arXiv:2212.10554): RoPE whose pairs fade with distance, the fast ones sooner.
//   gain_m(i,j) = zeta_m^((i - j) / B)      zeta_m = (2m + 0.4 D) / (1.4 D), m = 0..D/2-1, B = 512
// The gain is split between query and key, counted from the middle of the queries at hand, so neither grows with the text; a key so far
// away that it would leave f32 has faded to 0. The paper tests with blockwise causal attention, in blocks of half the trained length; its
// authors found a plain window better (kexue.fm/archives/9431), so that is what goes with it here: attention window or super_baseline.
#include "longview/position/methods.h"

namespace longview {
namespace {

struct XposConfig {
  double scale_base = 512;
  void fields(auto&& field) { field("scale_base", scale_base, "B: tokens after which a pair has faded to zeta"); }
};

struct Xpos final : Position {
  Xpos(XposConfig config, const Rotary& rotary) : Position(rotary), c(config) {}

  /// log zeta_m / B, f64 [D/2].
  Tensor decay() const {
    const auto D = static_cast<double>(rotary().head_width);
    const Tensor m = at::arange(rotary().head_width / 2, at::kDouble);  // [D/2]
    return at::log((2 * m + 0.4 * D) / (1.4 * D)) / c.scale_base;       // [D/2]
  }
  Tensor gain(const Tensor& i, const Tensor& j) const override {
    return (distance(i, j).clamp_min(0).unsqueeze(-1) * decay()).exp();  // [Tq,Tk,D/2]
  }
  Pieces pieces() const override {
    auto out = every_key();
    (*out)[0].decay = decay();
    return out;
  }
  bool is_trained_in() const override { return true; }

  XposConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_xpos(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(XposConfig{}, setting);
  LV_CHECK(c.scale_base > 0, "[xpos] scale_base must be above 0; got {}", c.scale_base);
  return made<Xpos>("xpos", c, rotary);
}

}  // namespace longview
