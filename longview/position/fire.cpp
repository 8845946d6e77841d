// FIRE (arXiv:2310.04418): a small network reads the distance as a share of the query's own place, so far texts fold into [0, 1].
//   bias(i,j) = f( psi(i - j) / psi(max(L, i)) )      psi(x) = log(|c| x + 1)      f: 1 -> hidden -> H with ReLU
// Learned: c, L = |multiplier| * threshold, and f, which begins as a linear layer usually does, from a fixed seed.
#include "longview/position/bias.h"
#include "longview/position/methods.h"

namespace longview {
namespace {

struct FireConfig {
  int64_t threshold = 512, hidden = 32;
  void fields(auto&& field) {
    field("threshold", threshold, "L before training: queries before it all count distances alike");
    field("hidden", hidden, "width of the network");
  }
};

struct Fire final : Unrotated {
  Fire(FireConfig config, const Rotary& rotary) : Unrotated(rotary), c(config) {}

  std::vector<LearnedValue> learned() const override {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(1);
    const auto uniform = [&](at::IntArrayRef sizes, int64_t inputs) {
      return (at::rand(sizes, generator, at::TensorOptions(at::kFloat)) * 2 - 1) / std::sqrt(static_cast<double>(inputs));
    };
    const int64_t F = c.hidden, H = rotary().heads;
    return {{"fire_c", at::full({1}, 0.1, at::kFloat)}, {"fire_multiplier", at::ones({1}, at::kFloat)},
            {"fire_hidden_weight", uniform({F}, 1)},    {"fire_hidden_bias", uniform({F}, 1)},
            {"fire_output_weight", uniform({H, F}, F)}, {"fire_output_bias", uniform({H}, F)}};
  }

  Tensor bias(const Tensor& i, const Tensor& j) const override {
    const auto of = [&](const char* name) { return value(name, i.device()); };
    const Tensor rate = of("fire_c").abs(), L = of("fire_multiplier").abs() * static_cast<double>(c.threshold);  // [1] [1]
    const auto psi = [&](const Tensor& x) { return at::log1p(rate * x); };
    const Tensor distance = Position::distance(i, j).clamp_min(0);                                            // [Tq,Tk]
    const Tensor whole = psi(at::maximum(i.to(at::kDouble), L)).unsqueeze(-1) + 1e-6;                         // [Tq,1]
    const Tensor share = psi(distance) / whole;                                                               // [Tq,Tk]
    const Tensor hidden = at::relu(share.unsqueeze(-1) * of("fire_hidden_weight") + of("fire_hidden_bias"));  // [Tq,Tk,F]
    const Tensor out = at::matmul(hidden, of("fire_output_weight").t()) + of("fire_output_bias");             // [Tq,Tk,H]
    return out.permute({2, 0, 1});                                                                            // [H,Tq,Tk]
  }

  std::string anchor() const override { return "it measures distances by the query's place in the text"; }

  FireConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_fire(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(FireConfig{}, setting);
  LV_CHECK(c.threshold >= 1, "[fire] threshold must be at least 1; got {}", c.threshold);
  LV_CHECK(c.hidden >= 1, "[fire] hidden must be at least 1; got {}", c.hidden);
  return made<Fire>("fire", c, rotary);
}

}  // namespace longview
