// Dynamic NTK (emozilla, 2023; the formula Hugging Face uses): the base follows the length l of the cache, and nothing changes
// before l exceeds the original length. Keys are kept un-rotated, so every key always turns with the current base.
//   base' = base * (factor * l / original - (factor - 1))^(D/(D-2))   for l > original
#include "longview/position/methods.h"

namespace longview {
namespace {

struct DynamicConfig {
  double factor = 1;
  int64_t original = 0;
  void fields(auto&& field) {
    field("factor", factor, "growth of the base with the length, at least 1");
    field("original", original, "length up to which nothing changes; 0: the trained length");
  }
};

struct Dynamic final : Frequencies {
  Dynamic(DynamicConfig config, Rotary rotary) : Frequencies(std::move(rotary)), c(config) {}
  Tensor theta(int64_t length) const override {
    if (length <= c.original) return Position::theta(length);  // [D/2]
    const auto D = static_cast<double>(rotary().head_width);
    const double grown = c.factor * static_cast<double>(length) / static_cast<double>(c.original) - (c.factor - 1);
    return Position(with_base(rotary(), rotary().base * std::pow(grown, D / (D - 2)))).theta(length);  // [D/2]
  }
  DynamicConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_dynamic(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(DynamicConfig{}, setting);
  LV_CHECK(c.factor >= 1, "[dynamic] factor must be at least 1; got {}", c.factor);
  LV_CHECK(c.original >= 0, "[dynamic] original must not be negative; got {}", c.original);
  LV_CHECK(rotary.head_width > 2, "[dynamic] needs heads wider than 2; this model's are {}", rotary.head_width);
  if (c.original == 0) c.original = rotary.trained_length;
  return made<Dynamic>("dynamic", c, rotary);
}

}  // namespace longview
