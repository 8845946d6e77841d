// AdamW, Adafactor, Muon and Tiger, each a few operations on flat tensors.
#include "longview/train/optimizer.h"

#include <array>

namespace longview {
namespace {

/// A state tensor, zeros at first.
Tensor& kept(Optimizer& optimizer, const std::string& name, const Tensor& like) {
  Tensor& out = optimizer.state[name];
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
    Tensor &m = kept(*this, group.name + ".m", group.master), &v = kept(*this, group.name + ".v", group.master);  // [P]
    change(group.master, gradient, m, v, group.decay, rate, step);
  }
  void change(Tensor values, const Tensor& gradient, Tensor& m, Tensor& v, double decay, double rate, int64_t step) const {
    m.lerp_(gradient, 1 - c.beta1);
    v.mul_(c.beta2).addcmul_(gradient, gradient, 1 - c.beta2);
    const double first = 1 - std::pow(c.beta1, step), second = 1 - std::pow(c.beta2, step);
    if (decay > 0) values.mul_(1 - rate * decay);
    values.addcdiv_(m, v.sqrt().mul_(1 / std::sqrt(second)).add_(c.epsilon), -rate / first);
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
    Tensor& m = kept(*this, group.name + ".m", group.master);  // [P]
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

struct MuonConfig : AdamWConfig {
  double momentum = 0.95;
  int64_t iterations = 5;
  void fields(auto&& field) {
    field("momentum", momentum, "decay of the mean of a matrix's gradients");
    field("iterations", iterations, "of Newton and Schulz");
    AdamWConfig::fields(field);
  }
};

/// X [n,r,c] with all its singular values near 1 (0.7 to 1.2), in the type of its products.
Tensor orthogonal(Tensor x, int64_t iterations) {
  const bool is_tall = x.size(1) > x.size(2);
  if (is_tall) x = x.transpose(1, 2);
  x = x / x.norm(2, {1, 2}, true).clamp_min(1e-12);
  if (x.is_cuda()) x = x.to(at::kBFloat16);
  for (int64_t n = 0; n < iterations; ++n) {
    const Tensor a = x.bmm(x.transpose(1, 2));                                // [n,r,r]
    x = at::baddbmm(x, at::baddbmm(a, a, a, -4.7750, 2.0315), x, 3.4445, 1);  // 3.4445 X + (-4.775 A + 2.0315 A^2) X
  }
  return is_tall ? x.transpose(1, 2) : x;
}

// Muon (kellerjordan.github.io/posts/muon; arXiv:2502.16982, whose scale makes AdamW's rate and decay fit): a matrix between layers is
// changed by its mean gradient made orthogonal, so that all its directions learn alike; embeddings, the head and vectors by AdamW.
//   m = b m + (1-b) g,  U V^T of  (1-b) g + b m,  w -= rate (0.2 sqrt(max(r, c)) U V^T + decay w)
struct Muon final : Optimizer {
  explicit Muon(MuonConfig config) : c(config), rest(config) {}
  void step(ParameterGroup& group, const Tensor& gradient, double rate, int64_t step) override {
    std::map<std::vector<int64_t>, std::vector<const ParameterGroup::Slice*>> shapes;
    for (const auto& slice : group.slices) {
      if (is_between_layers(slice)) {
        shapes[slice.shape].push_back(&slice);
        continue;
      }
      const Tensor own = gradient.narrow(0, slice.first, slice.count);
      rest.change(group.master.narrow(0, slice.first, slice.count), own, kept(*this, slice.name + ".m", own),
                  kept(*this, slice.name + ".v", own), group.decay, rate, step);
    }
    for (const auto& [shape, slices] : shapes) change(group, gradient, shape, slices, rate);
  }

 private:
  static bool is_between_layers(const ParameterGroup::Slice& slice) {
    return slice.shape.size() == 2 && slice.name.find("embed") == std::string::npos &&
           slice.name.find("lm_head") == std::string::npos;
  }
  /// Matrices of one shape together.
  void change(ParameterGroup& group, const Tensor& gradient, const std::vector<int64_t>& shape,
              const std::vector<const ParameterGroup::Slice*>& slices, double rate) {
    std::vector<Tensor> own;
    for (const auto* slice : slices) own.push_back(gradient.narrow(0, slice->first, slice->count).view(shape));
    const Tensor g = at::stack(own);                                                        // [n,r,c]
    Tensor& m = kept(*this, fmt::format("{}.{}x{}.m", group.name, shape[0], shape[1]), g);  // [n,r,c]
    m.lerp_(g, 1 - c.momentum);
    const Tensor update = orthogonal(g.lerp(m, c.momentum), c.iterations).to(g.scalar_type());  // [n,r,c]
    const double scale = 0.2 * std::sqrt(static_cast<double>(std::max(shape[0], shape[1])));
    for (size_t n = 0; n < slices.size(); ++n) {
      Tensor values = group.master.narrow(0, slices[n]->first, slices[n]->count).view(shape);
      if (group.decay > 0) values.mul_(1 - rate * group.decay);
      values.sub_(update[static_cast<int64_t>(n)], rate * scale);
    }
  }

  MuonConfig c;
  AdamW rest;
};

template <class Method, class Config>
std::unique_ptr<Optimizer> make(const Setting& setting) {
  return std::make_unique<Method>(with_values(Config{}, setting));
}

// clang-format off
constexpr std::array kOptimizers{
    OptimizerEntry{"adafactor", "arXiv:1804.04235", "row and column means of the squares in place of all of them", "", make<Adafactor, AdafactorConfig>},
    OptimizerEntry{"adamw", "arXiv:1711.05101", "Adam with weight decay apart from the gradient", "", make<AdamW, AdamWConfig>},
    OptimizerEntry{"muon", "arXiv:2502.16982", "the mean gradient of a matrix made orthogonal; AdamW for embeddings, the head and vectors", "", make<Muon, MuonConfig>},
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
