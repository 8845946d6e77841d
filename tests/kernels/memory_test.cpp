// The memory's steps of a text that is read piece by piece, against memory_read and memory_write in float64.
#include "longview/kernels/memory.h"

#include "tests/kernels/attention_cases.h"
#include "tests/kernels/error.h"

namespace longview::kernels {
namespace {

using namespace testing;  // NOLINT: helpers

struct StepCase {
  int64_t B = 1, H = 6, G = 6, T = 100, D = 64;
  MemoryRules rules{};
};

std::vector<StepCase> step_cases() {
  std::vector<StepCase> out;
  for (const auto write : {WriteRule::linear, WriteRule::delta, WriteRule::corrected_delta})
    for (const auto map : {FeatureMap::elu1, FeatureMap::dpfp})
      for (const auto read : {ReadRule::plain, ReadRule::centred}) {
        for (const int64_t D : {16, 48, 64}) out.push_back({2, 6, 2, 100, D, {write, map, read}});
        out.push_back({1, 4, 4, 1, 32, {write, map, read}});
        out.push_back({1, 2, 1, 70, 20, {write, map, read}});  // a width that our loops do not take
      }
  out.push_back({1, 3, 3, 300, 128, {}});
  return out;
}

std::string name_of(const StepCase& c) {
  return fmt::format("B={} H={} G={} T={} D={} rule {} features {} read {}", c.B, c.H, c.G, c.T, c.D,
                     static_cast<int>(c.rules.write), static_cast<int>(c.rules.features), static_cast<int>(c.rules.read));
}

/// Heads of a token side by side, as a model has them: [B,H,T,D] with strides.
Tensor heads_of(Randoms& random, int64_t B, int64_t H, int64_t T, int64_t D) { return random.normal({B, T, H, D}).transpose(1, 2); }

/// What 500 tokens leave.
Memory some_memory(Randoms& random, const StepCase& c) {
  const Tensor k = features(heads_of(random, c.B, c.G, 500, c.D), c.rules.features), v = heads_of(random, c.B, c.G, 500, c.D);
  Memory out = memory_write(k, v, at::ones({1, 1, 500}), {}, {}, {});
  out.n = at::full({1, 1}, 500.0);
  return out;
}

Tensor mix_in(at::ScalarType type, const StepCase& c, const Tensor& q, const Tensor& gate, const Memory& memory,
              const Tensor& local) {
  const Memory own{memory.M.to(type), memory.z.to(type), memory.n.to(type)};
  const Tensor sq = features(q.to(type).reshape({c.B, c.G, c.H / c.G * c.T, c.D}), c.rules.features);
  const Tensor read = memory_read(sq, own, at::ones({1, 1, 1}, sq.options()), c.rules).view({c.B, c.H, c.T, c.D});
  return local.to(type) + gate.to(type).view({1, -1, 1, 1}) * (read - local.to(type));
}

TEST(MemoryMix, IsAsExactAsThePlainFormula) {
  for (const auto& c : step_cases()) {
    Randoms random(1);
    const Memory memory = some_memory(random, c);
    const Tensor q = heads_of(random, c.B, c.H, c.T, c.D) * 3, local = heads_of(random, c.B, c.H, c.T, c.D);
    const Tensor gate = at::rand({c.H});
    const Tensor plain = mix_in(at::kFloat, c, q, gate, memory, local), exact = mix_in(at::kDouble, c, q, gate, memory, local);
    EXPECT_TRUE(as_exact_as_plain(memory_mix(q, gate, memory, local.clone(), c.rules), plain, exact)) << name_of(c);
  }
}

TEST(MemoryMix, ARowDoesNotDependOnItsCompany) {
  const StepCase c{1, 6, 3, 130, 64, {}};
  Randoms random(2);
  const Memory memory = some_memory(random, c);
  const Tensor q = heads_of(random, 1, 6, 130, 64), local = heads_of(random, 1, 6, 130, 64), gate = at::rand({6});
  const Tensor all = memory_mix(q, gate, memory, local.clone(), c.rules);
  for (int64_t t = 0; t < 130; ++t)
    ASSERT_TRUE(same_bits(memory_mix(q.narrow(2, t, 1), gate, memory, local.narrow(2, t, 1).clone(), c.rules), all.narrow(2, t, 1)))
        << t;
}

TEST(MemoryMix, QueriesThatReachNothingReadNothing) {  // their features are 0, and so would the denominator be
  Randoms random(3);
  const StepCase c{1, 2, 2, 5, 16, {}};
  const Memory memory = some_memory(random, c);
  const Tensor q = at::full({1, 2, 5, 16}, -200.0), local = random.normal({1, 2, 5, 16});
  EXPECT_TRUE(same_bits(memory_mix(q, at::ones({2}), memory, local.clone(), {}), at::zeros({1, 2, 5, 16})));
  EXPECT_TRUE(same_bits(memory_mix(q, at::zeros({2}), memory, local.clone(), {}), local));
}

Memory fold_in(at::ScalarType type, const StepCase& c, const Tensor& k, const Tensor& v, const Memory& memory, const Memory& sum) {
  const bool is_there = memory.M.defined();
  const Tensor sk = features(k.to(type), c.rules.features);
  const Memory empty{at::zeros({c.B, c.G, sk.size(3), c.D}, sk.options()), at::zeros({c.B, c.G, sk.size(3)}, sk.options()),
                     at::zeros({1, 1}, sk.options())};
  const Memory old = is_there ? Memory{memory.M.to(type), memory.z.to(type), memory.n.to(type)} : empty;
  const Memory more = memory_write(sk, v.to(type), at::ones({1, 1, c.T}, sk.options()), old,
                                   at::full({1, 1, 1}, is_there ? 1.0 : 0.0, sk.options()), c.rules);
  return sum.M.defined() ? Memory{sum.M.to(type) + more.M, sum.z.to(type) + more.z, {}} : more;
}

TEST(MemoryFold, IsAsExactAsThePlainFormula) {
  for (const auto& c : step_cases())
    for (const bool is_there : {true, false}) {
      Randoms random(4);
      const Memory memory = is_there ? some_memory(random, c) : Memory{}, sum = is_there ? some_memory(random, c) : Memory{};
      const Tensor k = heads_of(random, c.B, c.G, c.T, c.D), v = heads_of(random, c.B, c.G, c.T, c.D);
      const Memory before{sum.M.defined() ? sum.M.clone() : Tensor(), sum.M.defined() ? sum.z.clone() : Tensor(), {}};
      const Memory ours = memory_fold(k, v, 64, memory, sum, c.rules), plain = fold_in(at::kFloat, c, k, v, memory, sum),
                   exact = fold_in(at::kDouble, c, k, v, memory, sum);
      EXPECT_TRUE(as_exact_as_plain(ours.M, plain.M, exact.M)) << name_of(c);
      EXPECT_TRUE(as_exact_as_plain(ours.z, plain.z, exact.z)) << name_of(c);
      if (is_there) EXPECT_TRUE(same_bits(sum.M, before.M) && same_bits(sum.z, before.z)) << "a state's tensors are never written";
    }
}

TEST(MemoryFold, InSeveralCallsAsInOne) {
  for (const auto& c : step_cases()) {
    Randoms random(5);
    const Memory memory = some_memory(random, c);
    const Tensor k = heads_of(random, c.B, c.G, 256, c.D), v = heads_of(random, c.B, c.G, 256, c.D);
    const Memory once = memory_fold(k, v, 64, memory, {}, c.rules);
    Memory sum;
    for (const auto& [first, count] : {std::pair{0, 64}, {64, 128}, {192, 64}})
      sum = memory_fold(k.narrow(2, first, count), v.narrow(2, first, count), 64, memory, sum, c.rules);
    EXPECT_TRUE(same_bits(sum.M, once.M) && same_bits(sum.z, once.z)) << name_of(c);
  }
}

TEST(MemorySteps, PassGradientsOn) {  // of a gate alone too: the rest of a checkpoint may stand still
  const Memory memory{at::rand({1, 2, 16, 16}), at::rand({1, 2, 16}), at::ones({1, 1})};
  const Tensor x = at::rand({1, 2, 3, 16});
  const Tensor gate = at::rand({2}).requires_grad_();
  memory_mix(x, gate, memory, x.clone(), {}).sum().backward();
  EXPECT_GT(gate.grad().abs().min().item<double>(), 0);
  const Tensor k = at::rand({1, 2, 3, 16}).requires_grad_();
  memory_fold(k, x, 64, memory, memory, {}).M.sum().backward();
  EXPECT_GT(k.grad().abs().max().item<double>(), 0);
}

TEST(MemorySteps, RefuseWhatDoesNotFit) {
  const Memory memory{at::ones({1, 2, 16, 16}), at::ones({1, 2, 16}), at::ones({1, 1})};
  const Tensor x = at::zeros({1, 2, 3, 16});
  EXPECT_THROW(memory_mix(x, at::ones({3}), memory, x, {}), Error);
  EXPECT_THROW(memory_mix(x, at::ones({2}), memory, at::zeros({1, 2, 4, 16}), {}), Error);
  EXPECT_THROW(memory_fold(x, at::zeros({1, 2, 3, 8}), 64, memory, {}, {}), Error);
}

}  // namespace
}  // namespace longview::kernels
