// Position interpolation (arXiv:2306.15595): every position is divided by the factor.
//   theta'_m = theta_m / factor
#include "longview/position/methods.h"

namespace longview {
namespace {

struct LinearConfig {
  double factor = 4;
  void fields(auto&& field) { field("factor", factor, "how many times the trained length is stretched, at least 1"); }
};

struct Linear final : Frequencies {
  Linear(LinearConfig config, Rotary rotary) : Frequencies(std::move(rotary)), c(config) {}
  Tensor theta(int64_t length) const override { return Position::theta(length) / c.factor; }  // [D/2]
  LinearConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_linear(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(LinearConfig{}, setting);
  LV_CHECK(c.factor >= 1, "[linear] factor must be at least 1; got {}", c.factor);
  return made<Linear>("linear", c, rotary);
}

}  // namespace longview
