// NTK-by-parts (bloc97, 2023; arXiv:2309.00071, section 3.2, as its authors' code has it): three tables blended pair by pair.
//   pairs of more than 16 turns within the original length: theta        of fewer than 2: ntk, from the pair of 1.25 turns to that
//   of 0.75 turning into linear; ramps are linear in the pair
#include "longview/position/methods.h"
#include "longview/position/ramp.h"

namespace longview {
namespace {

struct NtkByPartsConfig {
  double factor = 4;
  int64_t original = 0;
  void fields(auto&& field) {
    field("factor", factor, "how many times the original length is stretched, at least 1");
    field("original", original, "length the model was trained for before scaling; 0: the trained length");
  }
};

struct NtkByParts final : Frequencies {
  NtkByParts(NtkByPartsConfig config, Rotary rotary) : Frequencies(std::move(rotary)), c(config) {}
  Tensor theta(int64_t length) const override {
    const auto D = static_cast<double>(rotary().head_width);
    const Tensor theta = Position::theta(length);                       // [D/2]
    const Tensor m = at::arange(rotary().head_width / 2, at::kDouble);  // [D/2]
    const Tensor ntk = at::pow(c.factor, m * (-2 / (D - 2)));           // [D/2] larger base
    const Tensor slow = pair_ramp(rotary(), c.original, 1.25, 0.75), fast = pair_ramp(rotary(), c.original, 16, 2);  // [D/2]
    const Tensor stretched = slow / c.factor + (1 - slow) * ntk;                                                     // [D/2]
    return theta * (fast * stretched + (1 - fast));  // [D/2]; factor 1: rope
  }
  NtkByPartsConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_ntk_by_parts(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(NtkByPartsConfig{}, setting);
  LV_CHECK(c.factor >= 1, "[ntk_by_parts] factor must be at least 1; got {}", c.factor);
  LV_CHECK(c.original >= 0, "[ntk_by_parts] original must not be negative; got {}", c.original);
  LV_CHECK(rotary.head_width > 2, "[ntk_by_parts] needs heads wider than 2; this model's are {}", rotary.head_width);
  if (c.original == 0) c.original = rotary.trained_length;
  return made<NtkByParts>("ntk_by_parts", c, rotary);
}

}  // namespace longview
