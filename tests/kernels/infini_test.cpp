// Infini-attention: the parallel form against the definition, forward and backward, and what the operator promises.
#include "longview/kernels/infini.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "longview/base/device.h"
#include "tests/kernels/infini_fused.h"

namespace longview::kernels {
namespace {

using namespace testing;  // NOLINT: the cases

struct InfiniKernels : ::testing::TestWithParam<InfiniCase> {
  const InfiniCase c = GetParam();
  const InfiniOperands x = operands(c);
  const InfiniRules rules = rules_of(c);
};

/// All that a call gives, by name.
std::vector<std::pair<const char*, Tensor>> results(const InfiniResult& y) {
  return {{"out", y.out}, {"M", y.memory.M}, {"z", y.memory.z}, {"n", y.memory.n}};
}

TEST_P(InfiniKernels, TheParallelFormIsAsExactAsTheDefinition) {
  const auto ours = results(infini(x, rules)), plain = results(infini_ref(x, rules));
  const auto exact = results(infini_ref(as(x, at::kDouble), rules));
  for (size_t n = 0; n < ours.size(); ++n)
    EXPECT_TRUE(as_exact_as_plain(ours[n].second, plain[n].second, exact[n].second)) << ours[n].first;
}

/// Gradients of one number that every result goes into, with respect to all that is learned or passed on.
std::vector<std::pair<const char*, Tensor>> gradients(InfiniResult (*form)(const InfiniOperands&, const InfiniRules&),
                                                      const InfiniOperands& of, const InfiniRules& rules, at::ScalarType dtype) {
  const InfiniOperands x = as(of, dtype, true);
  const InfiniResult y = form(x, rules);
  Randoms random(7);
  Tensor sum = (y.out * random.normal(y.out.sizes()).to(dtype)).sum();
  if (y.memory.M.requires_grad())
    sum = sum + (y.memory.M * random.normal(y.memory.M.sizes()).to(dtype)).sum() +
          (y.memory.z * random.normal(y.memory.z.sizes()).to(dtype)).sum();
  std::vector<std::pair<const char*, Tensor>> out{{"q", x.q}, {"k", x.k}, {"v", x.v}, {"gate", x.gate}};
  if (x.memory.M.defined()) out.insert(out.end(), {{"M", x.memory.M}, {"z", x.memory.z}});
  if (x.k_before.defined()) out.insert(out.end(), {{"k_before", x.k_before}, {"v_before", x.v_before}});
  std::vector<Tensor> leaves;
  for (const auto& [name, leaf] : out) leaves.push_back(leaf);
  const auto grads = torch::autograd::grad({sum}, leaves, {}, std::nullopt, false, true);
  for (size_t n = 0; n < out.size(); ++n) out[n].second = grads[n].defined() ? grads[n] : at::zeros_like(leaves[n]);
  return out;
}

Tensor side_by_side(const std::vector<std::pair<const char*, Tensor>>& parts) {
  std::vector<Tensor> out;
  for (const auto& [name, part] : parts) out.push_back(part.flatten());
  return at::cat(out);
}

TEST_P(InfiniKernels, GradientsAreAsExactAsTheDefinitions) {
  if (c.T == 0) return;
  const auto of = [&](auto form, at::ScalarType dtype) { return gradients(form, x, rules, dtype); };
  const auto exact = of(infini_ref, at::kDouble), wide = of(infini, at::kDouble);
  for (size_t n = 0; n < exact.size(); ++n) {
    const double size = exact[n].second.abs().max().item<double>();
    EXPECT_LT(largest_difference(wide[n].second, exact[n].second), 1e-12 * std::max(size, 1.0)) << exact[n].first << " in f64";
  }
  if (c.T == 1 || c.N == 1) return;  // a softmax of one score: the plain gradient is 0 to the last bit, by no merit of f32
  EXPECT_TRUE(
      as_exact_as_plain(side_by_side(of(infini, at::kFloat)), side_by_side(of(infini_ref, at::kFloat)), side_by_side(exact), 3));
}

/// The derivative along a random direction by differences of the f64 results.
TEST_P(InfiniKernels, GradientsAgreeWithDifferences) {
  if (c.T == 0 || c.T > 200) return;
  Randoms random(3);
  const InfiniOperands at = as(x, at::kDouble);
  const Tensor weights = random.normal(x.q.sizes()).to(at::kDouble);
  const auto value = [&](const InfiniOperands& y) { return (infini(y, rules).out * weights).sum().item<double>(); };
  InfiniOperands leaves = as(x, at::kDouble, true);
  const auto grads = torch::autograd::grad({(infini(leaves, rules).out * weights).sum()},
                                           {leaves.q, leaves.k, leaves.v, leaves.gate}, {}, std::nullopt, false, true);
  const std::array<Tensor InfiniOperands::*, 4> members{&InfiniOperands::q, &InfiniOperands::k, &InfiniOperands::v,
                                                        &InfiniOperands::gate};
  for (size_t n = 0; n < members.size(); ++n) {
    const Tensor direction = random.normal((x.*members[n]).sizes()).to(at::kDouble);
    constexpr double kStep = 1e-6;
    InfiniOperands more = at, less = at;
    more.*members[n] = at.*members[n] + kStep * direction, less.*members[n] = at.*members[n] - kStep * direction;
    const double measured = (value(more) - value(less)) / (2 * kStep);
    const double computed = grads[n].defined() ? (grads[n] * direction).sum().item<double>() : 0;
    EXPECT_NEAR(computed, measured, 1e-6 * (std::abs(measured) + direction.norm().item<double>())) << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Every, InfiniKernels, ::testing::ValuesIn(infini_cases()), [](const auto& info) {
  std::string name = fmt::format("{}_{}", info.index, info.param.name);
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

const InfiniCase kPlain{.name = "plain", .T = 100};

InfiniOperands tokens(const InfiniOperands& x, int64_t first, int64_t count) {
  InfiniOperands out = x;
  out.q = x.q.narrow(2, first, count), out.k = x.k.narrow(2, first, count), out.v = x.v.narrow(2, first, count);
  if (x.weight.defined()) out.weight = x.weight.narrow(1, first, count);
  if (x.document.defined()) out.document = x.document.narrow(1, first, count);
  return out;
}

TEST(Infini, TheFutureChangesNothing) {
  for (const auto& c : infini_cases()) {
    if (c.T < 40) continue;
    const InfiniOperands x = operands(c), other = operands(c, 5);
    const int64_t now = c.T / 2 + 1;
    InfiniOperands changed = x;
    for (auto member : {&InfiniOperands::q, &InfiniOperands::k, &InfiniOperands::v})
      changed.*member = at::cat({(x.*member).narrow(2, 0, now), (other.*member).narrow(2, now, c.T - now)}, 2);
    const Tensor a = infini(x, rules_of(c)).out, b = infini(changed, rules_of(c)).out;
    EXPECT_TRUE(same_bits(a.narrow(2, 0, now), b.narrow(2, 0, now))) << c.name;
    EXPECT_GT(largest_difference(a, b), 0.1) << c.name;
  }
}

TEST(Infini, EachKeyHeadsMemoryIsReadByItsOwnQueryHeads) {
  InfiniCase c{.name = "heads", .T = 64, .H = 6, .G = 3, .gate = 1};
  InfiniOperands x = operands(c);
  x.gate = at::ones({6});
  for (int64_t g = 0; g < 3; ++g) x.v.select(1, g).fill_(static_cast<double>(g + 1));  // a mean of equal values is that value
  const Tensor out = infini(x, rules_of(c)).out.narrow(2, 16, 48);  // from the second segment on only memory speaks
  for (int64_t h = 0; h < 6; ++h)
    EXPECT_LT(largest_difference(out.select(1, h), at::full_like(out.select(1, h), 1.0 + h / 2)), 1e-5) << h;
}

TEST(Infini, TheFirstSegmentIsLocalAttentionAndTheMemoryIsEmpty) {
  const InfiniOperands x = operands(kPlain);
  InfiniOperands other = x;
  other.gate = at::rand({4});
  const Tensor a = infini(x, rules_of(kPlain)).out, b = infini(other, rules_of(kPlain)).out;
  EXPECT_TRUE(same_bits(a.narrow(2, 0, 16), b.narrow(2, 0, 16)));
  EXPECT_GT(largest_difference(a, b), 0.01);
}

TEST(Infini, AGateOfZeroIsLocalAttentionAlone) {
  InfiniOperands x = operands(kPlain), emptied = x;
  x.gate = at::zeros({4});
  emptied.gate = x.gate, emptied.weight = at::zeros({2, 100});  // nothing is ever written
  EXPECT_TRUE(same_bits(infini(x, rules_of(kPlain)).out, infini(emptied, rules_of(kPlain)).out));
}

TEST(Infini, PackedTextsSayWhatEachSaysAlone) {
  for (const auto write : {WriteRule::linear, WriteRule::delta, WriteRule::corrected_delta}) {
    const InfiniCase c{.name = "packed", .T = 128, .write = write};
    InfiniOperands x = operands(c);
    x.document = at::cat({at::full({2, 48}, 3, at::kLong), at::full({2, 80}, 1, at::kLong)}, 1);  // on the segments' grid
    const Tensor out = infini(x, rules_of(c)).out;
    InfiniOperands alone = x;
    alone.document = Tensor();
    const auto part = [&](int64_t first, int64_t count) { return infini(tokens(alone, first, count), rules_of(c)).out; };
    EXPECT_LT(largest_difference(out, at::cat({part(0, 48), part(48, 80)}, 2)), 1e-5);
  }
}

TEST(Infini, PaddingIsNeitherSeenNorWritten) {
  const InfiniCase c{.name = "padded", .T = 96};
  InfiniOperands x = operands(c), other = operands(c, 9);
  x.document = at::zeros({2, 96}, at::kLong);
  x.document.narrow(1, 40, 24).fill_(-1);  // in the middle, over a segment's end: the text is cut there
  other.document = x.document, other.rotation = x.rotation;
  for (auto member : {&InfiniOperands::q, &InfiniOperands::k, &InfiniOperands::v})
    other.*member = at::cat({(x.*member).narrow(2, 0, 40), (other.*member).narrow(2, 40, 24), (x.*member).narrow(2, 64, 32)}, 2);
  const auto a = infini(x, rules_of(c)), b = infini(other, rules_of(c));
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 40}, {64, 32}})
    EXPECT_TRUE(same_bits(a.out.narrow(2, first, count), b.out.narrow(2, first, count)));
  EXPECT_TRUE(same_bits(a.memory.M, b.memory.M));
}

TEST(Infini, AWeightIsHowOftenASegmentCame) {
  const InfiniCase c{.name = "repeated", .T = 64};
  const InfiniOperands x = operands(c);
  InfiniOperands weighted = x;
  weighted.weight = at::ones({2, 64}), weighted.weight.narrow(1, 16, 16).fill_(3);
  InfiniOperands repeated = x;
  for (auto member : {&InfiniOperands::q, &InfiniOperands::k, &InfiniOperands::v}) {
    const Tensor y = x.*member, again = y.narrow(2, 16, 16);
    repeated.*member = at::cat({y.narrow(2, 0, 32), again, again, y.narrow(2, 32, 32)}, 2);
  }
  const auto a = infini(weighted, rules_of(c)), b = infini(repeated, rules_of(c));
  EXPECT_LT(largest_difference(a.memory.M, b.memory.M), 1e-4);
  EXPECT_LT(largest_difference(a.out.narrow(2, 32, 32), b.out.narrow(2, 64, 32)), 1e-5);
}

TEST(Infini, AMemoryGoesOnFromCallToCall) {
  for (const auto write : {WriteRule::linear, WriteRule::delta, WriteRule::corrected_delta}) {
    for (const auto& [overlap, sinks, done] : std::vector<std::array<int64_t, 3>>{
             {0, 0, 48}, {5, 0, 48}, {16, 0, 48}, {0, 3, 48}, {5, 3, 16}, {16, 3, 48}, {16, 3, 16}}) {
      const InfiniCase c{.name = "continued", .T = 100, .write = write, .overlap = overlap, .sinks = sinks};
      const InfiniOperands x = operands(c);
      const auto whole = infini(x, rules_of(c)), first = infini(tokens(x, 0, done), rules_of(c));
      InfiniOperands rest = tokens(x, done, 100 - done);
      rest.memory = first.memory;
      if (sinks > 0) rest.begun = done, rest.sink_k = x.k.narrow(2, 0, sinks), rest.sink_v = x.v.narrow(2, 0, sinks);
      if (overlap > 0)
        rest.k_before = x.k.narrow(2, done - overlap, overlap), rest.v_before = x.v.narrow(2, done - overlap, overlap);
      const auto second = infini(rest, rules_of(c));
      EXPECT_LT(largest_difference(whole.out, at::cat({first.out, second.out}, 2)), 1e-5);
      EXPECT_LT(largest_difference(whole.memory.M, second.memory.M), 1e-4);
      EXPECT_EQ(second.memory.n[0].item<double>(), static_cast<double>(96 - overlap - sinks));
    }
  }
}

TEST(Infini, AnOverlapIsSeenAndNotYetWritten) {
  const InfiniCase c{.name = "overlap", .T = 64, .overlap = 5};
  InfiniOperands x = operands(c), other = x;
  x.gate = other.gate = at::zeros({4});  // local attention alone
  const auto changed_at = [&](int64_t t) {
    other.v = x.v.clone(), other.v.select(2, t).add_(1);
    const Tensor change = (infini(x, rules_of(c)).out - infini(other, rules_of(c)).out).abs().amax(std::vector<int64_t>{0, 1, 3});
    return change > 0;  // [T] tokens that saw it
  };
  for (const int64_t t : {3, 10, 11, 15, 16, 27}) {  // a segment's last 5 tokens are seen in the next one
    const int64_t until = t / 16 * 16 + (t % 16 >= 11 ? 32 : 16);
    const Tensor seen = changed_at(t), i = at::arange(64);
    EXPECT_TRUE(at::equal(seen, (i >= t).logical_and(i < until))) << t;
  }
}

TEST(Infini, AKeyWrittenAgainAndAgain) {  // the same key with one value in every segment: what does the memory say of it?
  const auto said = [](WriteRule write) {
    const InfiniCase c{.name = "again", .T = 16 * 200, .H = 1, .G = 1, .D = 4, .write = write};
    InfiniOperands x = operands(c);
    x.q = x.q.narrow(2, 0, 1).repeat({1, 1, c.T, 1}), x.k = x.q, x.v = at::full_like(x.q, 2.0), x.gate = at::ones({1});
    return infini(x, rules_of(c)).out.select(2, c.T - 1).mean().item<double>();
  };
  EXPECT_NEAR(said(WriteRule::linear), 2, 1e-4);
  EXPECT_NEAR(said(WriteRule::delta), 1,
              0.01);  // the paper's rule: z grows with every write and M does not, the fixed point is v/2
  EXPECT_NEAR(said(WriteRule::corrected_delta), 2, 1e-4);
}

TEST(Infini, KeysFarBelowZeroKeepTheirFeatures) {
  const Tensor x = at::linspace(-30, 3, 2000).to(at::kBFloat16);  // [2000]
  const Tensor ours = features(x, FeatureMap::elu1), exact = features(x.to(at::kDouble), FeatureMap::elu1);
  EXPECT_GT(ours.min().item<double>(), 0);
  EXPECT_LT(((ours.to(at::kDouble) - exact) / exact).abs().max().item<double>(), 1e-6);
}

TEST(Infini, SixteenMillionTokensStayExactInF32) {
  constexpr int64_t N = 2048, kSegments = (int64_t{1} << 24) / N;
  Randoms random(1);
  const Tensor k = features(random.normal({1, N, 16}), FeatureMap::elu1), v = random.normal({1, N, 16}) + 0.5;  // [1,N,16]
  const Tensor ones = at::ones({1, N});
  const Memory once = memory_write(k, v, ones, {}, {}, {});
  const Memory exact = memory_write(k.to(at::kDouble), v.to(at::kDouble), ones.to(at::kDouble), {}, {}, {});
  Tensor M = at::zeros_like(once.M), coarse = at::zeros_like(once.M).to(at::kBFloat16), sum = at::zeros_like(exact.M);
  for (int64_t s = 0; s < kSegments; ++s) {
    const double r = 0.5 + static_cast<double>(s * 7919 % 1000) / 1000;  // segments differ, their sum is known
    M = M + (once.M.to(at::kDouble) * r).to(at::kFloat), coarse = coarse + (once.M * r).to(at::kBFloat16), sum = sum + exact.M * r;
  }
  const auto error = [&](const Tensor& x) { return ((x.to(at::kDouble) - sum).norm() / sum.norm()).item<double>(); };
  RecordProperty("f32", fmt::format("{:.3g}", error(M)));
  RecordProperty("bf16", fmt::format("{:.3g}", error(coarse)));
  EXPECT_LT(error(M), 1e-5);
  EXPECT_GT(error(coarse), 0.1);
}

TEST(Infini, RefusesWhatMakesNoSense) {
  const auto message = [](const InfiniCase& c, auto change) {
    InfiniOperands x = operands(c);
    change(x);
    try {
      infini(x, rules_of(c));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message({.name = "", .N = 0}, [](auto&) {}).find("segment must be at least 1; got 0"), std::string::npos);
  EXPECT_NE(message({.name = "", .overlap = 17}, [](auto&) {}).find("overlap must be 0 to the segment's 16; got 17"),
            std::string::npos);
  EXPECT_NE(message({.name = "", .overlap = 5, .sinks = 12}, [](auto&) {})
                .find("at most the 16 tokens of a segment less its overlap of 5; got 12"),
            std::string::npos);
  EXPECT_NE(message({.name = "", .sinks = 3}, [](auto& x) { x.begun = 16; }).find("16 of its tokens went before"),
            std::string::npos);
  EXPECT_NE(message({.name = "", .packing = Packing::packed, .overlap = 4}, [](auto&) {}).find("packed"), std::string::npos);
  EXPECT_NE(message(kPlain, [](auto& x) { x.gate = at::ones({3}); }).find("gate must be [H]; got [3]"), std::string::npos);
  EXPECT_NE(message({.name = "", .H = 3, .G = 2}, [](auto&) {}).find("3 query heads do not share 2 key heads"), std::string::npos);
  EXPECT_NE(message(kPlain,
                    [](auto& x) {
                      x.memory = {at::ones({2, 2, 9, 8}), at::ones({2, 2, 9}), at::ones({2})};
                    })
                .find("memory.M"),
            std::string::npos);
}

/// On the CPU cuda_kernels_test runs the same kernels.
TEST(Infini, FusedKernelsOfAGpuAreRight) {
  const at::Device device = open_device("auto");
  if (device.is_cpu()) GTEST_SKIP() << "there is no GPU";
  expect_fused_is_right(
      [](const InfiniOperands& x, const InfiniRules& rules) {
        EXPECT_EQ(infini_cuda_refusal(x, rules), "");
        return infini_cuda(x, rules);
      },
      device);
}

}  // namespace
}  // namespace longview::kernels
