// Leaky ReRoPE (kexue.fm/archives/9708): beyond the window distances grow on, `factor` times slower.
//   d(i,j) = i - j  up to the window w,  then  w + (i - j - w) / factor
#include "longview/position/methods.h"

namespace longview {
namespace {

struct LeakyReRopeConfig {
  int64_t window = 0;
  double factor = 8;
  void fields(auto&& field) {
    field("window", window, "distances up to here are true; 0: half the trained length");
    field("factor", factor, "how many times slower distances grow beyond, at least 1");
  }
};

struct LeakyReRope final : Distances {
  LeakyReRope(LeakyReRopeConfig config, const Rotary& rotary) : Distances(rotary), c(config) {}
  Tensor distance(const Tensor& i, const Tensor& j) const override {
    const Tensor d = Position::distance(i, j), w = at::full({}, static_cast<double>(c.window), at::kDouble);  // [Tq,Tk]
    return at::where(d < w, d, w + (d - w) / c.factor);                                                       // [Tq,Tk]
  }
  Pieces pieces() const override {
    const int64_t w = c.window;
    const double k = c.factor;
    if (k == 1) return every_key();
    return std::vector{
        Piece{[w](int64_t i) { return std::pair(int64_t{0}, std::max<int64_t>(i - w + 1, 0)); },
              Place([w, k](int64_t i) { return static_cast<double>(w) + static_cast<double>(i - w) / k; }),
              Place([k](int64_t j) { return static_cast<double>(j) / k; })},
        Piece{[w](int64_t i) { return std::pair(std::max<int64_t>(i - w + 1, 0), i + 1); }, {}, {}},
    };
  }
  LeakyReRopeConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_leaky_rerope(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(LeakyReRopeConfig{}, setting);
  LV_CHECK(!setting.values.contains("window") || c.window >= 1, "[leaky_rerope] window must be at least 1; got {}", c.window);
  LV_CHECK(c.factor >= 1, "[leaky_rerope] factor must be at least 1; got {}", c.factor);
  if (c.window == 0) c.window = std::max<int64_t>(rotary.trained_length / 2, 1);
  return made<LeakyReRope>("leaky_rerope", c, rotary);
}

}  // namespace longview
