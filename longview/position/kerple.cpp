// KERPLE (arXiv:2205.09921): a learned price for distance, two numbers a head.
//   log:    bias_h(i,j) = -r1 log(1 + r2 (i - j))        r1, r2 > 0
//   power:  bias_h(i,j) = -r1 (i - j)^r2                 r1 > 0, 0 < r2 <= 2
// The paper adds it before the division by sqrt(D), the authors' code after; we follow the code, also in keeping r1 and r2 at 0.01 or
// more. The code draws what multiplies from (0,2) and (0,1) at random; here the heads begin evenly spread over the same ranges.
#include "longview/position/bias.h"
#include "longview/position/methods.h"

namespace longview {
namespace {

struct KerpleConfig {
  std::string kind = "log";
  void fields(auto&& field) { field("kind", kind, "log or power"); }
};

constexpr double kLeast = 1e-2;

/// Evenly spread over (0, most), in an order that goes with no other.
Tensor spread(int64_t heads, double most, double step) {
  const Tensor h = at::arange(heads, at::kDouble);            // [H]
  return ((h + 0.5) * step).frac().mul(most).to(at::kFloat);  // [H]
}

struct Kerple final : DistanceBias {
  Kerple(KerpleConfig config, const Rotary& rotary) : DistanceBias(rotary), c(std::move(config)), is_log(c.kind == "log") {}

  std::vector<LearnedValue> learned() const override {
    const int64_t H = rotary().heads;
    const double even = 1.0 / static_cast<double>(H), golden = (std::sqrt(5.0) - 1) / 2;
    return {{"kerple_r1", spread(H, is_log ? 2 : 1, even)}, {"kerple_r2", spread(H, is_log ? 1 : 2, golden)}};
  }

  Tensor of_distance(const Tensor& d) const override {
    const Tensor r1 = value("kerple_r1", d.device()).clamp_min(kLeast).unsqueeze(-1);  // [H,1]
    const Tensor r2 = value("kerple_r2", d.device()).clamp_min(kLeast).unsqueeze(-1);  // [H,1]
    return is_log ? -r1 * at::log1p(r2 * d) : -r1 * at::pow(d, r2.clamp_max(2));       // [H,n]
  }

  KerpleConfig c;
  bool is_log;
};

}  // namespace

std::shared_ptr<const Position> make_kerple(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(KerpleConfig{}, setting);
  LV_CHECK(c.kind == "log" || c.kind == "power", "[kerple] kind must be log or power; got '{}'", c.kind);
  return made<Kerple>("kerple", c, rotary);
}

}  // namespace longview
