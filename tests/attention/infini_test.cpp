// Infini-attention as a method of a model: streamed in any cuts, against the operator's definition; rollback; checkpoints with gates.
#include <gtest/gtest.h>

#include "longview/infer/reader.h"
#include "tests/infer/tiny.h"
#include "tests/kernels/error.h"
#include "tests/kernels/infini_cases.h"
#include "tests/laws/cases.h"

namespace longview {
namespace {

using namespace testing;  // NOLINT: the cases

constexpr int64_t kDims = 8;
const Rotary kRotary{kDims, 10000, 512};

std::string setting_of(const InfiniCase& c) {
  using namespace kernels;
  return fmt::format("infini:segment={},overlap={},sinks={},rule={},features={},read={},empty={}", c.N, c.overlap, c.sinks,
                     c.write == WriteRule::linear  ? "linear"
                     : c.write == WriteRule::delta ? "delta"
                                                   : "corrected_delta",
                     c.features == FeatureMap::elu1 ? "elu1" : "dpfp", c.read == ReadRule::plain ? "plain" : "centred",
                     c.empty == EmptyMemory::bypass ? "bypass" : "scale");
}

std::vector<std::vector<int64_t>> cuts_of(int64_t T) {
  return {{T}, testing::pieces(T, 16), testing::pieces(T, 13), testing::pieces(T, 1)};
}

TEST(InfiniStreaming, SaysWhatTheDefinitionSaysInAnyCuts) {
  for (const auto& c : infini_cases()) {
    if (c.T == 0 || c.packing != Packing::none || c.is_continued || c.begun > 0 || c.D != kDims) continue;
    kernels::InfiniOperands x = operands(c);
    const auto rope = make_position("rope", kRotary);
    const int64_t view = c.sinks + c.overlap + c.N;
    const auto table = rope->rotation(view, {}, 0, view);
    x.rotation = {table.cos, table.sin};
    const auto attention = make_attention(setting_of(c), kRotary);
    const auto plain = kernels::infini_ref(x, rules_of(c)), exact = kernels::infini_ref(as(x, at::kDouble), rules_of(c));
    for (const auto& cuts : cuts_of(c.T)) {
      const Outcome ours = run(*attention, rope, {x.q, x.k, x.v, x.gate}, cuts);
      EXPECT_TRUE(as_exact_as_plain(ours.out, plain.out, exact.out)) << c.name << " in " << cuts.size();
      if (c.T < c.N || c.T == c.overlap) continue;
      EXPECT_TRUE(as_exact_as_plain(ours.state.tensors.at("M"), plain.memory.M, exact.memory.M)) << c.name;
      EXPECT_TRUE(as_exact_as_plain(ours.state.tensors.at("z"), plain.memory.z, exact.memory.z)) << c.name;
    }
  }
}

const std::vector<std::string>& memories() {
  static const std::vector<std::string> all{"infini:segment=200", "infini:segment=130,rule=delta",
                                            "infini:segment=97,rule=corrected_delta,features=dpfp",
                                            "infini_overlap:segment=100,overlap=70", "infini_streaming:segment=150,rule=delta"};
  return all;
}

TEST(InfiniStreaming, TrainingComputesTheSameInOneCallOrSeveral) {
  const Shape shape{2, 6, 2, 160, kDims};
  const auto rope = make_position("rope", kRotary);
  const auto set = at::arange(160).remainder(3).expand({2, 160}).to(at::kFloat);  // [B,T]
  for (const char* setting :
       {"infini:segment=16", "infini:segment=16,overlap=5", "infini:segment=16,overlap=16,rule=delta", "infini:segment=16,sinks=3",
        "infini:segment=16,overlap=5,sinks=11,rule=delta", "infini_streaming:segment=16,overlap=16"}) {
    const auto attention = make_attention(setting, kRotary);
    const Qkv plain = random_qkv(shape, 1);
    Qkv x = plain;
    x.q = x.q.clone().requires_grad_(true);
    const auto outcome = [&](const std::vector<int64_t>& cuts, bool is_weighted) {
      State state;
      std::vector<Tensor> outs;
      for (const int64_t count : cuts) {
        const int64_t first = state.seen;
        Segment segment{at::zeros({2, count}, at::kLong), first};
        if (is_weighted) segment.write = set.narrow(1, first, count);
        auto out = attention->attend(tokens(x, first, count), *rope, segment, std::move(state));
        outs.push_back(out.out.detach()), state = std::move(out.state);
      }
      return Outcome{at::cat(outs, 2), state, {}};
    };
    const Outcome streamed = run(*attention, rope, plain, {7, 100, 53}), whole = outcome({160}, false),
                  uneven = outcome({23, 100, 37}, false);
    EXPECT_LT(largest_difference(uneven.out, streamed.out), 1e-5) << setting;  // a begun segment, whole ones, a part
    EXPECT_LT(largest_difference(uneven.state.tensors.at("M"), streamed.state.tensors.at("M")), 1e-4) << setting;
    EXPECT_LT(largest_difference(streamed.out, whole.out), 1e-5) << setting;
    EXPECT_LT(largest_difference(streamed.out, outcome({16, 48, 96}, false).out), 1e-5) << setting;
    for (const auto& [name, tensor] : whole.state.tensors)
      EXPECT_LT(largest_difference(tensor, streamed.state.tensors.at(name)), 1e-4) << setting << name;
    EXPECT_LT(largest_difference(outcome({160}, true).out, outcome({16, 48, 96}, true).out), 1e-5) << setting;
    EXPECT_GT(largest_difference(outcome({160}, true).out, whole.out), 0.01) << setting;
  }
}

TEST(InfiniStreaming, WithoutItsMemoryTrainingComputesTheSame) {
  const Shape shape{2, 6, 2, 160, kDims};
  const auto rope = make_position("rope", kRotary);
  for (const char* setting :
       {"infini:segment=16,memory=off", "infini:segment=16,overlap=5,rule=delta,memory=off",
        "infini:segment=16,overlap=5,sinks=3,memory=off", "infini_streaming:segment=16,overlap=16,memory=off"}) {
    const auto attention = make_attention(setting, kRotary);
    const Qkv plain = random_qkv(shape, 1);
    const Outcome streamed = run(*attention, rope, plain, {7, 100, 53});
    Qkv x = plain;
    x.q = x.q.clone().requires_grad_(true), x.gate = Tensor();
    for (const std::vector<int64_t>& cuts : {std::vector<int64_t>{160}, {16, 48, 96}, {23, 100, 37}}) {
      const Outcome trained = run(*attention, rope, x, cuts);
      EXPECT_LT(largest_difference(trained.out.detach(), streamed.out), 1e-5) << setting;
      EXPECT_FALSE(trained.state.tensors.contains("M"));
    }
    run(*attention, rope, x, {160}).out.square().sum().backward();
    EXPECT_TRUE(x.q.grad().isfinite().all().item<bool>());
    EXPECT_GT(x.q.grad().abs().max().item<double>(), 0);
  }
}

TEST(InfiniStreaming, OperandsInBf16LeaveAMemoryInF32) {
  const Shape shape{1, 6, 2, 160, kDims};
  const auto rope = make_position("rope", kRotary);
  for (const char* setting : {"infini:segment=16", "infini:segment=16,overlap=5", "infini:segment=16,rule=delta"})
    for (const bool is_parallel : {false, true}) {
      const auto attention = make_attention(setting, kRotary);
      const Qkv exact = random_qkv(shape, 1);
      Qkv x{exact.q.to(at::kBFloat16), exact.k.to(at::kBFloat16), exact.v.to(at::kBFloat16), exact.gate};
      x.q.requires_grad_(is_parallel);
      const Outcome wanted = run(*attention, rope, exact, {23, 100, 37}), found = run(*attention, rope, x, {23, 100, 37});
      EXPECT_LT(largest_difference(found.out.detach().to(at::kFloat), wanted.out), 0.05) << setting;
      EXPECT_EQ(found.state.tensors.at("M").scalar_type(), at::kFloat) << setting;
      EXPECT_LT(largest_difference(found.state.tensors.at("M").detach(), wanted.state.tensors.at("M")),
                0.02 * wanted.state.tensors.at("M").abs().max().item<double>())
          << setting;
    }
}

TEST(InfiniStreaming, AnyCutGivesTheSameMemoryToTheBit) {
  const Shape shape{1, 6, 2, 700, kDims};
  const Qkv x = random_qkv(shape, 1);
  const auto rope = make_position("rope", kRotary);
  for (const auto& setting : memories()) {
    const auto attention = make_attention(setting, kRotary);
    const State whole = run(*attention, rope, x, {shape.T}).state;
    EXPECT_TRUE(whole.tensors.contains("M")) << setting;
    for (const auto& cuts : cuts_of(shape.T)) {
      const State other = run(*attention, rope, x, cuts).state;
      ASSERT_EQ(other.tensors.size(), whole.tensors.size()) << setting;
      for (const auto& [name, tensor] : whole.tensors) EXPECT_TRUE(same_bits(tensor, other.tensors.at(name))) << setting << name;
    }
  }
}

TEST(InfiniStreaming, EveryTokenIsInTheMemoryOrInView) {
  Shape shape{1, 1, 1, 640, kDims};
  Qkv x = random_qkv(shape, 1);
  x.k = x.k.narrow(2, 0, 1).repeat({1, 1, shape.T, 1});  // one key: z counts how often it was written
  const Tensor sigma = kernels::features(x.k.select(2, 0), kernels::FeatureMap::elu1);
  for (const auto& setting : memories()) {
    if (setting.find("linear") == std::string::npos && setting.find("rule") != std::string::npos) continue;
    State state;
    for (int64_t done = 0; done < shape.T; done += 40) {
      state =
          run(*make_attention(setting, kRotary), make_position("rope", kRotary), tokens(x, done, 40), {40}, std::move(state)).state;
      const auto size = [&](const char* name) { return state.tensors.contains(name) ? state.tensors.at(name).size(2) : 0; };
      const double written = state.tensors.contains("z") ? (state.tensors.at("z") / sigma).mean().item<double>() : 0;
      EXPECT_NEAR(written + static_cast<double>(size("k") + size("sink_k")), static_cast<double>(done + 40), 1e-2) << setting;
    }
  }
}

TEST(InfiniStreaming, WithoutItsMemoryASegmentIsFullAttentionToTheBit) {
  const Shape shape{1, 6, 2, 200, kDims};
  const Qkv x = random_qkv(shape, 1);
  const auto rope = make_position("rope", kRotary);
  for (const char* name :
       {"infini:segment=200,memory=off", "infini:segment=256", "infini_overlap:segment=204,overlap=9,memory=off"})
    for (const auto& cuts : cuts_of(shape.T))
      EXPECT_TRUE(
          same_bits(run(*make_attention(name, kRotary), rope, x, cuts).out, run(*make_attention("full"), rope, x, cuts).out))
          << name;
  Qkv closed = x;
  closed.gate = at::zeros({6});
  for (const std::string name : {"infini:segment=30", "infini_overlap:segment=30", "infini_streaming:segment=30"})
    EXPECT_TRUE(same_bits(run(*make_attention(name, kRotary), rope, closed, {200}).out,
                          run(*make_attention(name + ",memory=off", kRotary), rope, x, {200}).out))
        << name;
}

TEST(InfiniStreaming, GoesBackInsideASegment) {
  const Shape shape{1, 6, 2, 640, kDims};
  const Qkv x = random_qkv(shape, 1), other = random_qkv(shape, 4);
  const auto rope = make_position("rope", kRotary);
  auto settings = memories();
  settings.emplace_back("full");
  for (const auto& setting : settings) {
    const auto attention = make_attention(setting, kRotary);
    const State there = run(*attention, rope, tokens(x, 0, 285), {285}).state;
    State further = run(*attention, rope, tokens(other, 285, 5), {5}, there).state;
    const State back = attention->rewound(std::move(further), 5);
    EXPECT_EQ(back.seen, 285);
    ASSERT_EQ(back.tensors.size(), there.tensors.size()) << setting;
    for (const auto& [name, tensor] : there.tensors) EXPECT_TRUE(same_bits(tensor, back.tensors.at(name))) << setting << name;
    const Qkv rest = tokens(x, 285, 355);
    EXPECT_TRUE(same_bits(run(*attention, rope, rest, {355}, back).out, run(*attention, rope, rest, {355}, there).out)) << setting;
  }
  const auto attention = make_attention("infini:segment=100", kRotary);
  EXPECT_THROW(attention->rewound(run(*attention, rope, tokens(x, 0, 250), {250}).state, 51), Error);
  EXPECT_THROW(make_attention("window:window=9")->rewound(run(*make_attention("window:window=9"), rope, x, {640}).state, 1), Error);
}

std::string refusal_of(const char* setting) {
  try {
    make_attention(setting, kRotary);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(InfiniSettings, AreRefusedWithTheReason) {
  EXPECT_NE(refusal_of("infini:segment=0").find("segment must be at least 1; got 0"), std::string::npos);
  EXPECT_NE(refusal_of("infini:segment=513").find("more than the 512 tokens that the model was trained for"), std::string::npos);
  EXPECT_NE(refusal_of("infini_overlap:segment=300").find("a segment of 300 are more than the 512"), std::string::npos);
  EXPECT_NE(refusal_of("infini:rule=detla").find("did you mean 'delta'"), std::string::npos);
  EXPECT_NE(refusal_of("infini:memory=of").find("memory must be on or off; got 'of'"), std::string::npos);
  EXPECT_NE(refusal_of("infini:layers=5-3").find("layers must be like 0-9/20; got '5-3'"), std::string::npos);
  const auto all = make_attention("infini:segment=20,layers=0-1/3,others=full", kRotary);
  EXPECT_EQ(make_attention(all->setting, kRotary)->setting, all->setting);
  EXPECT_EQ(all->at(3).setting, all->setting);
  EXPECT_EQ(all->at(2).setting, "full");
  EXPECT_FALSE(all->bound());
  EXPECT_EQ(make_attention("infini:segment=20,layers=1", kRotary)->at(0).setting, "window:window=20");
}

Tensor read(const Transformer& model, const char* attention, const std::vector<int64_t>& cuts) {
  const Method method = model.method("", attention);
  const auto ids = some_ids(200);
  ModelState state;
  std::vector<Tensor> out;
  int64_t at = 0;
  for (const int64_t count : cuts) {
    auto step = model.forward({as_tensor(std::span(ids).subspan(static_cast<size_t>(at), static_cast<size_t>(count))), at}, method,
                              std::move(state));
    state = std::move(step.state), out.push_back(step.hidden), at += count;
  }
  return at::cat(out, 1);
}

TEST(InfiniModel, AGateThatIsClosedChangesNothing) {
  const Checkpoint closed = gated_checkpoint(0), open = gated_checkpoint(0.5);
  const Transformer model(closed), other(open);
  EXPECT_TRUE(same_bits(read(model, "", {200}), read(tiny_model(), "infini:segment=32,memory=off", {200})));
  EXPECT_TRUE(same_bits(read(other, "full", {200}), read(tiny_model(), "full", {200})));
  EXPECT_TRUE(same_bits(read(other, "infini:segment=32,memory=off", {200}), read(model, "", {200})));
  EXPECT_GT(largest_difference(read(other, "", {200}), read(model, "", {200})), 0.01);
  EXPECT_NEAR(other.memory_gate(0)[0].item<double>(), std::tanh(0.5), 1e-6);
}

TEST(InfiniModel, ReadsInChunksAsAtOnce) {
  const Transformer& model = gated_model();
  const Tensor whole = read(model, "", {200});
  for (const auto& cuts : {testing::pieces(200, 32), testing::pieces(200, 7), {199, 1}})
    EXPECT_LT(largest_difference(read(model, "", cuts), whole), 1e-4);
  EXPECT_THROW(tiny_model().method("", "infini:segment=32"), Error);  // it has no gates
}

TEST(InfiniAttention, ACentredReadCountsNoSinks) {
  // Where all keys are one and the query is that key too, what they share is all there is: the centred numerator is zero.
  const auto attention = make_attention("infini:segment=8,sinks=3,read=centred", {.head_width = 8, .trained_length = 64});
  const auto position = make_position("rope", {.head_width = 8, .trained_length = 64});
  const Tensor key = at::linspace(-1, 1, 8).expand({1, 1, 32, 8}).contiguous();  // [1,1,32,D]
  const Tensor v = at::linspace(0, 5, 32 * 8).view({1, 1, 32, 8});
  const auto out = attention->attend({key, key, v, at::ones({1})}, *position, {at::zeros({1, 32}, at::kLong), 0}, {}).out;
  EXPECT_LT(out.narrow(2, 16, 16).abs().max().item<double>(), 1e-4);
}

}  // namespace
}  // namespace longview
