// Self-Extend (arXiv:2401.01325): beyond the window positions are counted in groups of tokens.
//   d(i,j) = i - j  up to the window W,  then  floor(i/G) - floor(j/G) + W - floor(W/G)
// The authors' code takes W - W/G as a real number when it reads a prompt and floor(W/G) when it decodes; `shift=real` is the former,
// for both. They are the same where G divides W.
#include "longview/position/methods.h"

namespace longview {
namespace {

struct SelfExtendConfig {
  int64_t window = 0, group = 4;
  std::string shift = "floor";
  void fields(auto&& field) {
    field("window", window, "distances up to here are true; 0: a quarter of the trained length");
    field("group", group, "tokens that share a position beyond, at least 1");
    field("shift", shift, "floor: W - floor(W/G), the formula; real: W - W/G, as the code reads prompts");
  }
};

struct SelfExtend final : Distances {
  SelfExtend(SelfExtendConfig config, const Rotary& rotary) : Distances(rotary), c(std::move(config)) {}
  double offset() const {
    const auto W = static_cast<double>(c.window), G = static_cast<double>(c.group);
    return W - (c.shift == "real" ? W / G : std::floor(W / G));
  }
  Tensor distance(const Tensor& i, const Tensor& j) const override {
    const Tensor d = Position::distance(i, j);                                                      // [Tq,Tk]
    const Tensor gi = i.floor_divide(c.group), gj = j.floor_divide(c.group);                        // [Tq] [Tk]
    return at::where(d < static_cast<double>(c.window), d, Position::distance(gi, gj) + offset());  // [Tq,Tk]
  }
  Pieces pieces() const override {
    const int64_t W = c.window, G = c.group;
    if (G == 1) return every_key();
    const auto group = [G](int64_t p) { return std::floor(static_cast<double>(p) / static_cast<double>(G)); };
    return std::vector{
        Piece{[W](int64_t i) { return std::pair(int64_t{0}, std::max<int64_t>(i - W + 1, 0)); },
              Place([group, s = offset()](int64_t i) { return group(i) + s; }), Place(group)},
        Piece{[W](int64_t i) { return std::pair(std::max<int64_t>(i - W + 1, 0), i + 1); }, {}, {}},
    };
  }
  std::string anchor() const override {
    return c.group == 1 ? "" : "its groups of positions are counted from the start of the text";
  }
  SelfExtendConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_self_extend(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(SelfExtendConfig{}, setting);
  LV_CHECK(!setting.values.contains("window") || c.window >= 1, "[self_extend] window must be at least 1; got {}", c.window);
  LV_CHECK(c.group >= 1, "[self_extend] group must be at least 1; got {}", c.group);
  LV_CHECK(c.shift == "floor" || c.shift == "real", "[self_extend] shift must be floor or real; got '{}'", c.shift);
  if (c.window == 0) c.window = std::max<int64_t>(rotary.trained_length / 4, 1);
  return made<SelfExtend>("self_extend", c, rotary);
}

}  // namespace longview
