// AdamW, Adafactor and Tiger, each a few operations on flat tensors.
#include "longview/train/optimizer.h"

#include <array>

namespace longview {
namespace {

/// The state tensor of a group, zeros at first.
Tensor& kept(Optimizer& optimizer, const ParameterGroup& group, const char* what, const Tensor& like) {
  Tensor& out = optimizer.state[group.name + "." + what];
  if (!out.defined()) out = at::zeros_like(like);
  return out;
}

struct AdamWConfig {
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  void fields(auto&& field) {
    field("beta1", beta1, "decay of the mean of the gradients");
    field("beta2", beta2, "decay of the mean of their squares");
    field("epsilon", epsilon, "added to the root of that mean");
  }
};

// AdamW (arXiv:1711.05101): m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2,  w -= rate (m^ / (sqrt(v^) + e) + decay w)
struct AdamW final : Optimizer {
  explicit AdamW(AdamWConfig config) : c(config) {}
  void step(ParameterGroup& group, const Tensor& gradient, double rate, int64_t step) override {
    Tensor &m = kept(*this, group, "m", group.master), &v = kept(*this, group, "v", group.master);  // [P]
    m.lerp_(gradient, 1 - c.beta1);
    v.mul_(c.beta2).addcmul_(gradient, gradient, 1 - c.beta2);
    const double first = 1 - std::pow(c.beta1, step), second = 1 - std::pow(c.beta2, step);
    if (group.decay > 0) group.master.mul_(1 - rate * group.decay);
    group.master.addcdiv_(m, v.sqrt().mul_(1 / std::sqrt(second)).add_(c.epsilon), -rate / first);
  }
  bool is_elementwise() const override { return true; }
  AdamWConfig c;
};

struct AdafactorConfig {
  double decay = 0.8, clip = 1, epsilon = 1e-30;
  void fields(auto&& field) {
    field("decay", decay, "the mean of squares forgets as 1 - step^-decay");
    field("clip", clip, "largest root mean square of an update");
    field("epsilon", epsilon, "added to the squares");
  }
};

// Adafactor (arXiv:1804.04235), with the learning rate given: the mean of squares of a matrix is kept as its row and column means.
//   v_ij = r_i c_j / mean(r),  u = g / sqrt(v),  w -= rate (u / max(1, rms(u) / clip) + decay w)
struct Adafactor final : Optimizer {
  explicit Adafactor(AdafactorConfig config) : c(config) {}
  void step(ParameterGroup& group, const Tensor& gradient, double rate, int64_t step) override {
    const double keep = 1 - std::pow(static_cast<double>(step), -c.decay);
    if (group.decay > 0) group.master.mul_(1 - rate * group.decay);
    for (const auto& slice : group.slices) {
      const Tensor g = gradient.narrow(0, slice.first, slice.count).view(slice.shape), squares = g.square().add_(c.epsilon);
      Tensor update;
      if (slice.shape.size() == 2) {
        Tensor& rows = mean(slice.name + ".rows", squares.mean(1), keep);        // [O]
        Tensor& columns = mean(slice.name + ".columns", squares.mean(0), keep);  // [I]
        update = g * (rows / rows.mean()).rsqrt().unsqueeze(1) * columns.rsqrt().unsqueeze(0);
      } else {
        update = g * mean(slice.name + ".squares", squares, keep).rsqrt();
      }
      const Tensor size = (update.square().mean().sqrt() / c.clip).clamp_min(1);  // []
      group.master.narrow(0, slice.first, slice.count).sub_((update / size).reshape(-1), rate);
    }
  }
  Tensor& mean(const std::string& name, const Tensor& now, double keep) {
    Tensor& kept = state[name];
    kept = kept.defined() ? kept.mul_(keep).add_(now, 1 - keep) : now.clone();
    return kept;
  }
  AdafactorConfig c;
};

struct TigerConfig {
  double beta = 0.965;
  void fields(auto&& field) { field("beta", beta, "decay of the mean of the gradients"); }
};

// Tiger (kexue.fm/archives/9512): m = b m + (1-b) g,  w -= rate a (sign(m) + decay w), with a the root mean square of a matrix's
// values, 1/2 for a vector: steps are shares of what they change.
struct Tiger final : Optimizer {
  explicit Tiger(TigerConfig config) : c(config) {}
  void step(ParameterGroup& group, const Tensor& gradient, double rate, int64_t) override {
    Tensor& m = kept(*this, group, "m", group.master);  // [P]
    m.lerp_(gradient, 1 - c.beta);
    const Tensor change = m.sign().add_(group.master, group.decay);  // [P]
    for (const auto& slice : group.slices) {
      Tensor values = group.master.narrow(0, slice.first, slice.count);
      const Tensor share = slice.shape.size() < 2 ? at::full({}, 0.5, change.options()) : values.square().mean().sqrt();  // []
      values.sub_(change.narrow(0, slice.first, slice.count) * share, rate);
    }
  }
  TigerConfig c;
};

template <class Method, class Config>
std::unique_ptr<Optimizer> make(const Setting& setting) {
  return std::make_unique<Method>(with_values(Config{}, setting));
}

// clang-format off
constexpr std::array kOptimizers{
    OptimizerEntry{"adafactor", "arXiv:1804.04235", "row and column means of the squares in place of all of them", "", make<Adafactor, AdafactorConfig>},
    OptimizerEntry{"adamw", "arXiv:1711.05101", "Adam with weight decay apart from the gradient", "", make<AdamW, AdamWConfig>},
    OptimizerEntry{"tiger", "kexue.fm/archives/9512", "the sign of a mean of gradients, as a share of what it changes; half the memory", "", make<Tiger, TigerConfig>},
};
// clang-format on

}  // namespace

std::span<const OptimizerEntry> optimizers() { return kOptimizers; }

std::unique_ptr<Optimizer> make_optimizer(std::string_view text) {
  const Setting setting = parse_setting(text);
  return find(optimizers(), "optimizer", setting.name).make(setting);
}

}  // namespace longview
