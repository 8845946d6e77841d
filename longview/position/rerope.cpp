// ReRoPE (kexue.fm/archives/9708): beyond the window every key looks `window` tokens away.
//   d(i,j) = min(i - j, window)
#include "longview/position/methods.h"

namespace longview {
namespace {

struct ReRopeConfig {
  int64_t window = 0;
  void fields(auto&& field) { field("window", window, "distances up to here are true; 0: half the trained length"); }
};

struct ReRope final : Distances {
  ReRope(ReRopeConfig config, const Rotary& rotary) : Distances(rotary), c(config) {}
  Tensor distance(const Tensor& i, const Tensor& j) const override { return Position::distance(i, j).clamp_max(c.window); }
  Pieces pieces() const override {
    const int64_t w = c.window;
    return std::vector{
        Piece{[w](int64_t i) { return std::pair(int64_t{0}, std::max<int64_t>(i - w + 1, 0)); },
              Place([w](int64_t) { return static_cast<double>(w); }), Place([](int64_t) { return 0.0; })},
        Piece{[w](int64_t i) { return std::pair(std::max<int64_t>(i - w + 1, 0), i + 1); }, {}, {}},
    };
  }
  ReRopeConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_rerope(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(ReRopeConfig{}, setting);
  LV_CHECK(!setting.values.contains("window") || c.window >= 1, "[rerope] window must be at least 1; got {}", c.window);
  if (c.window == 0) c.window = std::max<int64_t>(rotary.trained_length / 2, 1);
  return made<ReRope>("rerope", c, rotary);
}

}  // namespace longview
