// YaRN (arXiv:2309.00071): per-frequency blend of interpolation and extrapolation, plus a temperature.
//   theta'_m = (1 - g_m) theta_m / factor + g_m theta_m
//   scale    = a^2,   a = attention_factor, by default 0.1 ln(factor) + 1
// The paper lets g fall linearly with the turns r_m = original * theta_m / 2 pi, from 1 at beta_fast to 0 at beta_slow. The
// authors' code, and every checkpoint made with it, lets it fall linearly with the pair index m between the (rounded) pairs that
// make beta_fast and beta_slow turns. `ramp=code` (the default) is theirs, `ramp=paper` the formula.
#include "longview/position/methods.h"
#include "longview/position/ramp.h"

namespace longview {
namespace {

struct YarnConfig {
  double factor = 4;
  int64_t original = 0;
  double beta_fast = 32, beta_slow = 1, attention_factor = 0;
  std::string ramp = "code";
  void fields(auto&& field) {
    field("factor", factor, "how many times the original length is stretched, at least 1");
    field("original", original, "length the model was trained for before scaling; 0: the trained length");
    field("beta_fast", beta_fast, "pairs that make more turns than this are not interpolated");
    field("beta_slow", beta_slow, "pairs that make fewer turns than this are interpolated fully");
    field("attention_factor", attention_factor, "multiplies cos and sin; 0: 0.1 ln(factor) + 1");
    field("ramp", ramp, "code: linear in the pair index, as checkpoints need it; paper: linear in the turns");
  }
};

struct Yarn final : Frequencies {
  Yarn(YarnConfig config, Rotary rotary) : Frequencies(std::move(rotary)), c(std::move(config)) {}

  Tensor theta(int64_t length) const override {
    const Tensor theta = Position::theta(length);                          // [D/2]
    const Tensor g = c.ramp == "paper" ? paper_ramp(theta) : code_ramp();  // [D/2]
    return theta * ((1 - g) / c.factor + g);                               // [D/2]; factor 1: rope to the bit
  }

  Tensor scale(const Tensor& i, int64_t length) const override {
    const double a = c.attention_factor > 0 ? c.attention_factor : 0.1 * std::log(c.factor) + 1;
    return Position::scale(i, length) * (a * a);  // [Tq]
  }

  Tensor paper_ramp(const Tensor& theta) const {
    const Tensor turns = static_cast<double>(c.original) * theta / (2 * M_PI);  // [D/2]
    return ((turns - c.beta_slow) / (c.beta_fast - c.beta_slow)).clamp(0, 1);   // [D/2]
  }

  Tensor code_ramp() const { return 1 - pair_ramp(rotary(), c.original, c.beta_fast, c.beta_slow); }  // [D/2]

  YarnConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_yarn(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(YarnConfig{}, setting);
  LV_CHECK(c.factor >= 1, "[yarn] factor must be at least 1; got {}", c.factor);
  LV_CHECK(c.original >= 0, "[yarn] original must not be negative; got {}", c.original);
  LV_CHECK(c.beta_fast > c.beta_slow && c.beta_slow > 0, "[yarn] needs beta_fast > beta_slow > 0; got {} and {}", c.beta_fast,
           c.beta_slow);
  LV_CHECK(c.attention_factor >= 0, "[yarn] attention_factor must not be negative; got {}", c.attention_factor);
  LV_CHECK(c.ramp == "code" || c.ramp == "paper", "[yarn] ramp must be code or paper; got '{}'", c.ramp);
  if (c.original == 0) c.original = rotary.trained_length;
  return made<Yarn>("yarn", c, rotary);
}

}  // namespace longview
