// Llama 3.1's scaling (Meta, llama-models, 2024): pairs by wavelength w_m = 2 pi / theta_m against the original length L.
//   w < L/high: theta        w > L/low: theta / factor        between: (1-s) theta/factor + s theta,  s = (L/w - low)/(high - low)
#include "longview/position/methods.h"

namespace longview {
namespace {

struct Llama3Config {
  double factor = 8, low = 1, high = 4;
  int64_t original = 8192;
  void fields(auto&& field) {
    field("factor", factor, "how many times the slow pairs are stretched, at least 1");
    field("low", low, "wavelengths longer than original/low are stretched fully");
    field("high", high, "wavelengths shorter than original/high are left alone");
    field("original", original, "length the model was trained for before scaling");
  }
};

struct Llama3 final : Frequencies {
  Llama3(Llama3Config config, Rotary rotary) : Frequencies(std::move(rotary)), c(config) {}
  Tensor theta(int64_t length) const override {
    const Tensor theta = Position::theta(length);                               // [D/2]
    const Tensor turns = static_cast<double>(c.original) * theta / (2 * M_PI);  // [D/2] L / w
    const Tensor s = ((turns - c.low) / (c.high - c.low)).clamp(0, 1);          // [D/2]
    return theta * ((1 - s) / c.factor + s);                                    // [D/2]; factor 1: rope to the bit
  }
  Llama3Config c;
};

}  // namespace

std::shared_ptr<const Position> make_llama3(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(Llama3Config{}, setting);
  LV_CHECK(c.factor >= 1, "[llama3] factor must be at least 1; got {}", c.factor);
  LV_CHECK(c.high > c.low && c.low > 0, "[llama3] needs high > low > 0; got {} and {}", c.high, c.low);
  LV_CHECK(c.original > 0, "[llama3] original must be positive; got {}", c.original);
  return made<Llama3>("llama3", c, rotary);
}

}  // namespace longview
