// What one step of an optimiser does to matrices whose gradients are known.
#include "longview/train/optimizer.h"

#include <gtest/gtest.h>

namespace longview {
namespace {

/// Matrices and vectors one after the other, all zeros.
ParameterGroup group_of(const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors, double decay = 0) {
  ParameterGroup out{.name = "matrices", .decay = decay};
  for (const auto& [name, shape] : tensors) {
    const int64_t count = at::zeros(shape, at::kBool).numel();
    out.slices.push_back({name, shape, out.count, count});
    out.count += count;
  }
  out.master = at::zeros({out.count});
  return out;
}

Tensor of(const Tensor& flat, const ParameterGroup::Slice& slice) {
  return flat.narrow(0, slice.first, slice.count).view(slice.shape);
}

TEST(Muon, ChangesMatricesAlikeInAllDirections) {
  at::manual_seed(1);
  ParameterGroup group =
      group_of({{"layers.0.up.weight", {48, 20}}, {"layers.0.down.weight", {20, 48}}, {"layers.1.up.weight", {48, 20}}});
  const Tensor gradient = at::randn({group.count}) * at::logspace(-6, 2, group.count);
  make_optimizer("muon")->step(group, gradient, 0.5, 1);
  for (const auto& slice : group.slices) {
    const Tensor change = -of(group.master, slice), scaled = change / (0.5 * 0.2 * std::sqrt(48.0));
    const Tensor values = at::linalg_svdvals(scaled);  // [20]
    EXPECT_GT(values.median().item<double>(), 0.6) << slice.name;
    EXPECT_LT(values.max().item<double>(), 1.3) << slice.name;
    // Along the gradient: <U V^T, g> is the sum of its singular values, or near it.
    const Tensor g = of(gradient, slice);
    EXPECT_GT((scaled * g).sum().item<double>(), 0.6 * at::linalg_svdvals(g).sum().item<double>()) << slice.name;
  }
}

TEST(Muon, LeavesEmbeddingsHeadAndVectorsToAdamW) {
  at::manual_seed(2);
  const auto rest = group_of({{"model.embed_tokens.weight", {6, 5}}, {"lm_head.weight", {6, 5}}, {"norm.weight", {5}}}, 0.1);
  auto by_muon = rest, by_adamw = rest;
  by_muon.master = at::randn({rest.count}), by_adamw.master = by_muon.master.clone();
  const auto muon = make_optimizer("muon:beta2=0.9"), adamw = make_optimizer("adamw:beta2=0.9");
  for (int64_t step = 1; step <= 3; ++step) {
    const Tensor gradient = at::randn({rest.count});
    muon->step(by_muon, gradient, 0.1, step), adamw->step(by_adamw, gradient, 0.1, step);
  }
  EXPECT_TRUE(at::allclose(by_muon.master, by_adamw.master, 1e-6, 1e-7));
}

TEST(Muon, DecaysAndRemembers) {
  at::manual_seed(3);
  ParameterGroup group = group_of({{"layers.0.weight", {4, 4}}}, 0.5);
  group.master = at::ones({group.count});
  const auto muon = make_optimizer("muon:momentum=0.5");
  muon->step(group, at::zeros({16}), 0.1, 1);
  EXPECT_TRUE(at::allclose(group.master, at::full({16}, 0.95)));  // no gradient: only decay
  const Tensor gradient = at::randn({16});
  muon->step(group, gradient, 0.1, 2);
  const Tensor kept = muon->state.at("matrices.4x4.m");  // [1,4,4]
  EXPECT_TRUE(at::allclose(kept.flatten(), 0.5 * gradient));
}

}  // namespace
}  // namespace longview
