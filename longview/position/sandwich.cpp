// Sandwich (arXiv:2212.10356): the product of two sinusoidal position embeddings as a bias, flatter from head to head.
//   bias_h(i,j) = H / (8h) sum_m cos((i - j) 10000^(-2m/d)), m = 0..d/2-1, h = 1..H        d = 128 whatever the heads' width
// d and the heads' ratios are those of the listing in the paper's appendix. Nothing is trained.
#include "longview/position/bias.h"
#include "longview/position/methods.h"

namespace longview {
namespace {

struct SandwichConfig {
  int64_t width = 128;
  void fields(auto&& field) { field("width", width, "width d of the sinusoidal embedding"); }
};

struct Sandwich final : DistanceBias {
  Sandwich(SandwichConfig config, const Rotary& rotary) : DistanceBias(rotary), c(config) {}

  Tensor of_distance(const Tensor& d) const override {
    const Tensor m = at::arange(c.width / 2, d.options());                                     // [d/2]
    const Tensor theta = at::pow(10000.0, m * (-2.0 / static_cast<double>(c.width)));          // [d/2]
    const Tensor product = (d.unsqueeze(-1) * theta).cos().sum(-1);                            // [n]
    const Tensor ratio = at::arange(1, rotary().heads + 1, d.options()) * 8 / rotary().heads;  // [H]
    return product / ratio.unsqueeze(-1);                                                      // [H,n]
  }

  SandwichConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_sandwich(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(SandwichConfig{}, setting);
  LV_CHECK(c.width >= 2 && c.width % 2 == 0, "[sandwich] width must be even and at least 2; got {}", c.width);
  return made<Sandwich>("sandwich", c, rotary);
}

}  // namespace longview
