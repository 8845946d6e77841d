// The row-wise operations against float64, at sizes that fill no vector and at values near the ends of f32.
#include "longview/kernels/elementwise.h"

#include <gtest/gtest.h>

#include "longview/base/cpu.h"
#include "longview/kernels/loops.h"
#include "tests/kernels/attention_cases.h"
#include "tests/kernels/error.h"

namespace longview::kernels {
namespace {

using namespace testing;  // NOLINT: helpers

TEST(KernelLoops, AreThoseThatWereAskedFor) {
  const std::string isa = instruction_set();
  EXPECT_EQ(&loops(), isa == "amx"      ? &loops_amx()
                      : isa == "avx512" ? &loops_avx512()
                      : isa == "avx2"   ? &loops_avx2()
                                        : &loops_baseline())
      << isa;
}

Tensor norm_in(at::ScalarType dtype, const Tensor& x, const Tensor& weight, double epsilon) {
  const Tensor y = x.to(dtype);
  return y * at::rsqrt(y.square().mean(-1, true) + epsilon) * weight.to(dtype);
}

TEST(RmsNorm, IsAsExactAsThePlainFormula) {
  Randoms random(1);
  for (const int64_t E : {1, 3, 7, 16, 17, 64, 576, 1003})
    for (const double size : {1e-15, 1e-3, 1.0, 1e4, 1e15}) {
      const Tensor x = random.normal({40, E}) * size, weight = random.normal({E});
      EXPECT_TRUE(
          as_exact_as_plain(rms_norm(x, weight, 1e-5), norm_in(at::kFloat, x, weight, 1e-5), norm_in(at::kDouble, x, weight, 1e-5)))
          << "width " << E << ", size " << size;
    }
}

TEST(RmsNorm, OfNothingIsNothing) {
  EXPECT_TRUE(same_bits(rms_norm(at::zeros({2, 20}), at::ones({20}), 1e-5), at::zeros({2, 20})));
  EXPECT_EQ(rms_norm(at::zeros({2, 0, 20}), at::ones({20}), 1e-5).sizes(), (std::vector<int64_t>{2, 0, 20}));
}

TEST(RmsNorm, ARowDoesNotDependOnItsCompany) {
  const Tensor x = Randoms(2).normal({100, 83}), weight = Randoms(3).normal({83}), all = rms_norm(x, weight, 1e-5);
  for (int64_t row = 0; row < 100; ++row)
    ASSERT_TRUE(same_bits(rms_norm(x.narrow(0, row, 1).clone(), weight, 1e-5), all.narrow(0, row, 1)));
}

Tensor gated_in(at::ScalarType dtype, const Tensor& gate, const Tensor& up) {
  const Tensor g = gate.to(dtype);
  return g / (1 + at::exp(-g)) * up.to(dtype);
}

TEST(SiluTimes, IsAsExactAsThePlainFormulaFromEndToEnd) {
  Randoms random(4);
  for (const auto& [from, to] : {std::pair{-3.0, 3.0}, {-20.0, -3.0}, {-80.0, -20.0}, {3.0, 100.0}, {1e3, 1e30}})
    for (const int64_t F : {1, 5, 16, 33, 1536}) {
      const Tensor gate = at::linspace(from, to, 3 * F).view({3, F}), up = random.normal({3, F});
      EXPECT_TRUE(as_exact_as_plain(silu_times(gate.clone(), up), gated_in(at::kFloat, gate, up), gated_in(at::kDouble, gate, up)))
          << from << " to " << to << ", width " << F;
    }
}

TEST(SiluTimes, FarBelowZeroIsNothing) {
  for (const int64_t F : {1, 16, 33}) {
    const Tensor far = at::linspace(-1000, -90, F), out = silu_times(far.clone(), at::ones({F}));
    EXPECT_LT(out.abs().max().item<double>(), 1e-30) << F;
    const Tensor worst = silu_times(at::full({F}, std::numeric_limits<float>::lowest()), at::ones({F}));
    EXPECT_LT(worst.abs().max().item<double>(), 1e5) << "finite, though nothing like this exists";
  }
}

TEST(SiluTimes, WritesOverItsGate) {
  Tensor gate = at::ones({2, 8});
  EXPECT_EQ(silu_times(gate, at::ones({2, 8})).data_ptr(), gate.data_ptr());
}

/// Losses in a dtype, as f64.
Tensor nll_in(at::ScalarType dtype, const Tensor& logits, const Tensor& targets) {
  const Tensor x = logits.to(dtype);
  return (at::logsumexp(x, -1) - x.gather(1, targets.unsqueeze(-1)).squeeze(-1)).to(at::kDouble);
}

TEST(Nll, IsAsExactAsThePlainFormula) {
  Randoms random(5);
  for (const int64_t V : {1, 3, 16, 1023, 1024, 1025, 2049, 49152})
    for (const double size : {0.0, 1.0, 30.0, 1e4}) {
      const Tensor logits = random.normal({6, V}) * size, targets = at::arange(6, at::kLong).remainder(V);
      EXPECT_TRUE(
          as_exact_as_plain(nll(logits, targets), nll_in(at::kFloat, logits, targets), nll_in(at::kDouble, logits, targets)))
          << "vocabulary " << V << ", size " << size;
    }
}

TEST(Nll, OfExtremesIsWhatItMustBe) {
  for (const int64_t V : {2, 17, 40}) {
    const Tensor flat = at::zeros({2, V}), first = at::zeros({2}, at::kLong);
    EXPECT_NEAR(nll(flat, first)[0].item<double>(), std::log(static_cast<double>(V)), 1e-7);
    Tensor sure = at::full({2, V}, -1e30F);
    sure.select(1, 0).fill_(1e30F);
    EXPECT_EQ(nll(sure, first)[0].item<double>(), 0);
    EXPECT_NEAR(nll(sure, first + 1)[0].item<double>() / 2e30, 1, 1e-6);
    Tensor hidden = at::full({2, V}, -INFINITY);
    hidden.select(1, 1).fill_(3);
    EXPECT_EQ(nll(hidden, first + 1)[0].item<double>(), 0);
    EXPECT_EQ(nll(hidden, first)[0].item<double>(), INFINITY);
  }
}

TEST(Nll, ATargetOutsideTheVocabularyIsRefused) {
  for (const int64_t target : {-1, 5}) EXPECT_THROW(nll(at::zeros({1, 5}), at::full({1}, target, at::kLong)), Error);
  EXPECT_THROW(nll(at::zeros({2, 5}), at::zeros({1}, at::kLong)), Error);
  EXPECT_EQ(nll(at::zeros({0, 5}), at::zeros({0}, at::kLong)).numel(), 0);
}

TEST(Nll, TakesTargetsOfAnyStride) {
  const Tensor logits = Randoms(6).normal({4, 9}), targets = at::arange(8, at::kLong).slice(0, 0, 8, 2);  // 0 2 4 6
  EXPECT_TRUE(same_bits(nll(logits, targets), nll(logits, targets.contiguous())));
}

}  // namespace
}  // namespace longview::kernels
