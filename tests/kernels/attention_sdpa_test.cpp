// Attention with gradients and biases: LibTorch's own and the definition, values and gradients, against float64.
#include <gtest/gtest.h>

#include "longview/kernels/attention.h"
#include "tests/kernels/attention_cases.h"
#include "tests/kernels/error.h"

namespace longview::kernels {
namespace {

using namespace testing;  // NOLINT: the cases

using Implementation = Tensor (*)(const Tensor&, const std::vector<KeySet>&, const Tensor&);

struct Gradients {
  Tensor out;
  std::vector<Tensor> of;  // q, and k, v, bias of every set; scale where the implementation has one
};

/// The result, and the gradients of its sum weighed by fixed numbers.
Gradients gradients(Implementation run, const AttentionOperands& x, at::ScalarType dtype) {
  AttentionOperands y = as(x, dtype);
  std::vector<Tensor*> leaves{&y.q};
  for (auto& set : y.sets) {
    leaves.insert(leaves.end(), {&set.k, &set.v});
    if (set.bias.defined()) leaves.push_back(&set.bias);
  }
  if (run != attention_sdpa) leaves.push_back(&y.scale);
  for (Tensor* leaf : leaves) *leaf = leaf->to(dtype).detach().clone().requires_grad_();
  const Tensor out = run(y.q, y.sets, y.scale), weights = Randoms(77).normal(out.sizes()).to(dtype);  // [B,H,T,D]
  (out * weights).sum().backward();
  Gradients result{out.detach(), {}};
  for (const Tensor* leaf : leaves) result.of.push_back(leaf->grad().defined() ? leaf->grad() : at::zeros_like(*leaf));
  return result;
}

/// The case, each set with a bias of H heads or of one.
AttentionOperands biased(AttentionOperands x, bool is_shared) {
  Randoms random(5);
  for (auto& set : x.sets) set.bias = random.normal({is_shared ? 1 : x.q.size(1), x.q.size(2), set.k.size(2)});
  return x;
}

struct AttentionGradients : ::testing::TestWithParam<AttentionCase> {
  const AttentionOperands x = operands(GetParam());

  void expect_exact(Implementation run, const AttentionOperands& y) const {
    const Gradients exact = gradients(attention_ref, y, at::kDouble), plain = gradients(attention_ref, y, at::kFloat);
    const Gradients ours = gradients(run, y, at::kFloat);
    EXPECT_TRUE(as_exact_as_plain(ours.out, plain.out, exact.out));
    for (size_t n = 0; n < ours.of.size(); ++n) {
      EXPECT_TRUE(ours.of[n].isfinite().all().item<bool>()) << n;
      if (!exact.of[n].any().item<bool>()) continue;  // of one key: flash attention's terms cancel to rounding only
      EXPECT_TRUE(as_exact_as_plain(ours.of[n], plain.of[n], exact.of[n], 3)) << "gradient " << n;
    }
  }
};

TEST_P(AttentionGradients, AreThoseOfTheDefinition) {
  for (const AttentionOperands& y : {x, biased(x, false), biased(x, true)}) {
    AttentionOperands asking = y;
    asking.q = y.q.clone().requires_grad_();
    EXPECT_NE(attention_cpu_refusal(asking.q, asking.sets, asking.scale), "") << "it has no gradients";
    expect_exact(attention, y);
    const std::string why = attention_sdpa_refusal(asking.q, asking.sets, asking.scale);
    if (why.empty()) expect_exact(attention_sdpa, y);
    else EXPECT_TRUE(why == "it takes one set of keys" || why == "a query sees no keys") << why;
  }
}

TEST_P(AttentionGradients, OfTheDefinitionAgreeWithFiniteDifferences) {
  const AttentionOperands y = as(biased(x, false), at::kDouble);
  if (y.q.abs().max().item<double>() > 20) return;  // one score decides everything: nothing to differ
  const Gradients exact = gradients(attention_ref, y, at::kDouble);
  const Tensor weights = Randoms(77).normal(exact.out.sizes()).to(at::kDouble);
  const double step = 1e-5;
  size_t n = 0;
  const auto expect_slope = [&](auto member) {
    const Tensor along = Randoms(n + 100).normal(exact.of[n].sizes()).to(at::kDouble);
    const auto at = [&](double distance) {
      AttentionOperands z = y;
      member(z) = member(z).to(at::kDouble) + distance * along;
      return (attention_ref(z.q, z.sets, z.scale) * weights).sum().template item<double>();
    };
    const double slope = (at(step) - at(-step)) / (2 * step), ours = (exact.of[n] * along).sum().template item<double>();
    EXPECT_NEAR(slope, ours, 1e-6 * (1 + std::abs(ours))) << "operand " << n;
    ++n;
  };
  expect_slope([](AttentionOperands& z) -> Tensor& { return z.q; });
  for (size_t s = 0; s < y.sets.size(); ++s) {
    expect_slope([s](AttentionOperands& z) -> Tensor& { return z.sets[s].k; });
    expect_slope([s](AttentionOperands& z) -> Tensor& { return z.sets[s].v; });
    expect_slope([s](AttentionOperands& z) -> Tensor& { return z.sets[s].bias; });
  }
  expect_slope([](AttentionOperands& z) -> Tensor& { return z.scale; });
}

INSTANTIATE_TEST_SUITE_P(Case, AttentionGradients, ::testing::ValuesIn(kAttentionCases), [](const auto& info) {
  std::string name = info.param.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
});

TEST(AttentionSdpa, TakesEveryDtypeAsExactlyAsTheDefinition) {
  const AttentionOperands x = operands({.name = ""}), exact = as(x, at::kDouble);
  const Tensor wanted = attention_ref(exact.q, exact.sets, exact.scale);
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    AttentionOperands y = as(x, dtype);
    y.q.requires_grad_();
    ASSERT_EQ(attention_sdpa_refusal(y.q, y.sets, y.scale), "");
    const Tensor ours = attention_sdpa(y.q, y.sets, y.scale).detach(), plain = attention_ref(y.q, y.sets, y.scale).detach();
    if (dtype == at::kDouble) EXPECT_LT(largest_difference(ours, wanted), 1e-13);
    else EXPECT_TRUE(as_exact_as_plain(ours, plain, wanted)) << dtype;
  }
}

TEST(AttentionSdpa, RunsWhereAGradientOrABiasIsAskedFor) {
  const AttentionOperands x = operands({.name = ""}), b = biased(x, false);
  EXPECT_TRUE(same_bits(attention(b.q, b.sets, b.scale), attention_sdpa(b.q, b.sets, b.scale)));
  EXPECT_NE(attention_sdpa_refusal(x.q, x.sets, x.scale), "") << "our own kernel is faster";
  EXPECT_NE(attention_cpu_refusal(b.q, b.sets, b.scale), "");
  AttentionOperands y = x;
  y.sets[0].v = x.sets[0].v.clone().requires_grad_();
  EXPECT_TRUE(needs_gradient(y.q, y.sets, y.scale));
  const Tensor out = attention(y.q, y.sets, y.scale);
  EXPECT_TRUE(out.requires_grad());
  y.sets[0].bias = b.sets[0].bias.narrow(2, 0, 50);
  EXPECT_THROW(attention(y.q, y.sets, y.scale), Error);
}

}  // namespace
}  // namespace longview::kernels
