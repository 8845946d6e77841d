// Where one method must become another: limits of the attention methods, and streaming against its paper, token by token.
#include "longview/attention/scored.h"
#include "tests/kernels/error.h"
#include "tests/laws/cases.h"

namespace longview {
namespace {

using namespace testing;  // NOLINT: the cases

constexpr Shape kShape{1, 6, 2, 150, 16};

Outcome run_with(const std::string& attention, const std::string& position, const Qkv& x, const std::vector<int64_t>& cuts,
                 int64_t trained = kTrained) {
  const Rotary rotary{x.q.size(3), 10000, trained};
  return run(*make_attention(attention, rotary), make_position(position, rotary), x, cuts);
}

struct AttentionLimit : ::testing::TestWithParam<std::string> {
  const Qkv x = random_qkv(kShape, 4);
};

TEST_P(AttentionLimit, AWindowAsLongAsTheTextIsFullToTheBit) {
  for (const auto& cuts : {std::vector<int64_t>{150}, pieces(150, 64)})
    EXPECT_TRUE(same_bits(run_with("window:window=150", GetParam(), x, cuts).out, run_with("full", GetParam(), x, cuts).out));
}

TEST_P(AttentionLimit, StreamingWithoutSinksIsAWindowToTheBit) {
  for (const auto& cuts : {std::vector<int64_t>{150}, pieces(150, 64)})
    EXPECT_TRUE(same_bits(run_with("streaming:window=40,sinks=0", GetParam(), x, cuts).out,
                          run_with("window:window=40", GetParam(), x, cuts).out));
}

TEST_P(AttentionLimit, StreamingWithAWindowAsLongAsTheTextIsFull) {
  const auto full = make_attention("full");
  const auto position = make_position(GetParam(), {kShape.D, 10000, kTrained});
  const Tensor plain = run(*full, position, x, {150}, {}, false).out,
               exact = run(*full, position, in_double(x), {150}, {}, false).out;
  EXPECT_TRUE(as_exact_as_plain(run_with("streaming:window=150", GetParam(), x, {150}).out, plain, exact));
}

TEST_P(AttentionLimit, AWindowForgetsWhatItDropped) {
  const Qkv texts = random_qkv({16, kShape.H, kShape.G, kShape.T, kShape.D}, 4);  // of one text the worst of 96 values is luck
  const Tensor late = run_with("window:window=40", GetParam(), texts, pieces(150, 1)).out.narrow(2, 149, 1);
  const auto full = make_attention("full");
  const auto position = make_position(GetParam(), {kShape.D, 10000, kTrained});
  const Qkv rest = tokens(texts, 110, 40);
  const auto defined = [&](const Qkv& x) { return run(*full, position, x, {40}, {}, false).out.narrow(2, 39, 1); };
  EXPECT_TRUE(as_exact_as_plain(late, defined(rest), defined(in_double(rest)))) << "the last 40 tokens alone give the same";
}

/// StreamingLLM as its paper tells it: a cache of keys that are not rotated; each new token is appended, the oldest that is no
/// sink is evicted, keys are rotated by their place in the cache and the query by the last place.
Tensor streaming_as_told(const Qkv& x, const Position& position, const std::vector<int64_t>& lengths, int64_t window,
                         int64_t sinks) {
  const int64_t repeat = x.q.size(1) / x.k.size(1);
  std::vector<int64_t> cache;
  std::vector<Tensor> outs;
  const auto rotated = [&](const Tensor& y, const Tensor& places, const Tensor& theta) {  // [B,H,n,D]
    if (theta.numel() == 0) return y;
    const Tensor phi = places.to(at::kDouble).unsqueeze(-1) * theta;  // [n,D/2]
    const Tensor c = phi.cos().to(y.dtype()), s = phi.sin().to(y.dtype()), a = y.chunk(2, -1)[0], b = y.chunk(2, -1)[1];
    return at::cat({a * c - b * s, b * c + a * s}, -1);
  };
  for (int64_t t = 0; t < x.q.size(2); ++t) {
    cache.push_back(t);
    if (static_cast<int64_t>(cache.size()) > window) cache.erase(cache.begin() + sinks);
    const Tensor kept = at::tensor(cache, at::kLong), places = at::arange(kept.size(0), at::kLong);
    const Tensor theta = position.theta(lengths[static_cast<size_t>(t)]);
    const Tensor k = rotated(x.k.index_select(2, kept), places, theta).repeat_interleave(repeat, 1);  // [B,H,n,D]
    const Tensor q = rotated(x.q.narrow(2, t, 1), places.narrow(0, places.size(0) - 1, 1), theta);    // [B,H,1,D]
    const Tensor scale = position.scale(places.slice(0, -1), lengths[static_cast<size_t>(t)]) / std::sqrt(double(x.q.size(3)));
    Tensor score = at::matmul(q, k.transpose(-1, -2)) * scale.to(q.dtype());  // [B,H,1,n]
    if (const Tensor bias = position.bias(places.slice(0, -1), places); bias.defined()) score = score + bias.to(q.dtype());
    const Tensor weights = at::softmax(score, -1);
    outs.push_back(at::matmul(weights, x.v.index_select(2, kept).repeat_interleave(repeat, 1)));
  }
  return at::cat(outs, 2);
}

TEST_P(AttentionLimit, StreamingIsWhatItsPaperTells) {
  const int64_t T = 90;
  const Qkv text = tokens(x, 0, T);
  const auto position = make_position(GetParam(), {kShape.D, 10000, kTrained});
  for (const auto& [window, sinks] : {std::pair{60, 4}, std::pair{23, 1}, std::pair{12, 11}}) {
    const auto attention = make_attention(fmt::format("streaming:window={},sinks={}", window, sinks));
    for (const auto& cuts : {std::vector<int64_t>{T}, pieces(T, 1), std::vector<int64_t>{2, 37, 51}}) {
      const Outcome ours = run(*attention, position, text, cuts);
      const Tensor exact = streaming_as_told(in_double(text), *position, ours.lengths, window, sinks);
      EXPECT_TRUE(as_exact_as_plain(ours.out, streaming_as_told(text, *position, ours.lengths, window, sinks), exact));
    }
  }
}

/// Those that may stand in a window that slides, and whose distances are true: the paper's own.
std::vector<std::string> plain_settings() {
  auto out = position_settings();
  const Tensor i = at::arange(300, at::kLong);
  const Tensor far = make_position("rope", {kShape.D, 10000, kTrained})->distance(i, i);
  std::erase_if(out, [&](const std::string& setting) {
    const auto method = make_position(setting, {kShape.D, 10000, kTrained});
    return !method->anchor().empty() || method->gain(i, i).defined() || !at::equal(method->distance(i, i), far);
  });
  return out;
}

TEST(DistanceLimit, WindowsAsLongAsTheTextFactorsAndGroupsOfOneAreRopeToTheBit) {
  const Qkv x = random_qkv(kShape, 8);
  for (const auto& cuts : {std::vector<int64_t>{150}, pieces(150, 64), pieces(150, 1)}) {
    const Tensor rope = run_with("full", "rope", x, cuts).out;
    for (const char* setting : {"rerope:window=150", "leaky_rerope:window=150", "leaky_rerope:window=20,factor=1",
                                "self_extend:window=150", "self_extend:window=20,group=1", "dual_chunk:chunk=150,limit=150"})
      EXPECT_TRUE(same_bits(run_with("full", setting, x, cuts).out, rope)) << setting;
    const Tensor known = run_with("full", "auto", x, cuts).out;
    EXPECT_TRUE(same_bits(known.narrow(2, 0, kTrained), rope.narrow(2, 0, kTrained))) << "auto inside the trained length";
    EXPECT_GT(largest_difference(known.narrow(2, 140, 10), rope.narrow(2, 140, 10)), 1e-3);
  }
}

TEST(DistanceLimit, LmInfiniteIsFullUntilItsWindowIsFull) {
  const Qkv x = random_qkv(kShape, 8);
  EXPECT_TRUE(
      same_bits(run_with("lm_infinite:window=150,globals=0", "rope", x, {150}).out, run_with("full", "rope", x, {150}).out));
  EXPECT_TRUE(same_bits(run_with("lm_infinite:window=40,globals=0,cap=40", "rope", x, pieces(150, 64)).out,
                        run_with("window:window=40", "rope", x, pieces(150, 64)).out));
}

/// LM-Infinite as its paper tells it: one row of scores at distances min(i - j, cap), hidden but for the first and the last keys.
TEST(DistanceLimit, LmInfiniteIsWhatItsPaperTells) {
  const Qkv x = random_qkv({1, 6, 2, 90, 16}, 5), exact = in_double(x);
  const int64_t window = 20, globals = 3, cap = 30, T = 90;
  const auto rerope = make_position(fmt::format("rerope:window={}", cap), {16, 10000, kTrained});  // min(i - j, cap)
  const auto told = [&](const Qkv& text) {
    View first{.k = text.k, .v = text.v, .from = std::vector<int64_t>(T, 0), .to = {}, .query = {}}, last = first;
    for (int64_t i = 0; i < T; ++i) {
      first.to.push_back(std::min(i + 1, globals)), first.query.push_back(i);
      last.from[static_cast<size_t>(i)] = std::max(globals, i - window + 1), last.to.push_back(i + 1), last.query.push_back(i);
    }
    return scored_by_definition(text.q, {first, last}, *rerope, T);
  };
  const std::string setting = fmt::format("lm_infinite:window={},globals={},cap={}", window, globals, cap);
  for (const auto& cuts : {std::vector<int64_t>{T}, pieces(T, 1), pieces(T, 17)})
    EXPECT_TRUE(as_exact_as_plain(run_with(setting, "rope", x, cuts).out, told(x), told(exact)));
}

TEST(MemoryLimit, MethodsWithSegmentsAreOneAnotherAtTheirLimits) {
  const Qkv x = random_qkv(kShape, 8);
  Qkv closed = x;
  closed.gate = at::zeros({kShape.H});
  for (const auto& cuts : {std::vector<int64_t>{150}, pieces(150, 64), pieces(150, 1)}) {
    const auto out = [&](const std::string& attention, const Qkv& text) {
      return run_with(attention, "rope", text, cuts, 150).out;
    };
    EXPECT_TRUE(same_bits(out("transformer_xl:segment=150,memory=0", x), out("full", x)));
    EXPECT_TRUE(same_bits(out("recurrent_memory:segment=148,tokens=1", x), out("full", x)));
    const Tensor xl = out("transformer_xl:segment=12,memory=36", x);
    EXPECT_TRUE(same_bits(out("memorizing:segment=12,cache=36,memory=40", closed), xl));
    EXPECT_TRUE(same_bits(out("compressive:segment=12,memory=36,compressed=0", x), xl));
    EXPECT_LT(largest_difference(out("compressive:segment=12,memory=16,compressed=20,rate=1", x), xl), 1e-5) << "a token a slot";
    const std::string four = "compressive:segment=12,memory=12,compressed=6,rate=4,function=";
    EXPECT_LT(largest_difference(out(four + "conv", x), out(four + "mean", x)), 1e-5) << "a convolution begins as the mean";
  }
}

/// With the gate open a query sees the keys that left the cache, not rotated; with as many as there are, all of them.
TEST(MemoryLimit, MemorizingFindsWhatIsThere) {
  Qkv x = random_qkv(kShape, 8);
  x.gate = at::ones({kShape.H});
  const int64_t N = 10, T = 150, repeat = kShape.H / kShape.G;
  const Tensor out = run_with("memorizing:segment=10,cache=10,memory=0,top=200", "rope", x, {T}).out;
  const Tensor best = run_with("memorizing:segment=10,cache=10,memory=0,top=1", "rope", x, pieces(T, 11)).out;
  for (int64_t t = 2 * N; t < T; ++t) {
    const int64_t end = t / N * N - N;
    const auto old = [&](const Tensor& y) { return y.narrow(2, 0, end).repeat_interleave(repeat, 1); };              // [B,H,end,D]
    const Tensor score = at::matmul(old(x.k), x.q.select(2, t).unsqueeze(-1)).squeeze(-1) / std::sqrt(x.q.size(3));  // [B,H,end]
    const Tensor mean = at::matmul(score.softmax(-1).unsqueeze(-2), old(x.v)).squeeze(-2);                           // [B,H,D]
    ASSERT_LT(largest_difference(out.select(2, t), mean), 1e-5) << t;
    const Tensor nearest = score.argmax(-1).view({-1, kShape.H, 1, 1}).expand({-1, -1, 1, x.v.size(3)});
    ASSERT_LT(largest_difference(best.select(2, t), old(x.v).gather(2, nearest).squeeze(2)), 1e-5) << t;
  }
}

INSTANTIATE_TEST_SUITE_P(Every, AttentionLimit, ::testing::ValuesIn(plain_settings()),
                         [](const auto& info) { return name_of(info.param); });

TEST(FullAttention, IsTheSameToTheBitHoweverTheTextIsCut) {
  const Qkv x = random_qkv({1, 6, 2, 1100, 24}, 6);
  const Tensor one = run_with("full", "rope", x, {1100}).out;
  EXPECT_TRUE(same_bits(one, run_with("full", "rope", x, pieces(1100, 64)).out));
  EXPECT_TRUE(same_bits(one, run_with("full", "rope", x, {1, 510, 3, 1, 1, 333, 251}).out));
  EXPECT_TRUE(same_bits(one, run_with("full", "rope", x, pieces(1100, 7)).out));
}

/// Bytes of the memory behind a state, room for more tokens included.
size_t memory_behind(const State& state) {
  size_t sum = 0;
  for (const auto& [name, tensor] : state.tensors) sum += tensor.storage().nbytes();
  return sum;
}

TEST(BoundedAttention, MemoryBehindTheStateStaysBoundedToo) {
  const Shape shape{1, 2, 1, 64, 8};
  const Qkv x = random_qkv(shape, 7);
  const auto position = make_position("rope", {shape.D, 10000, kTrained});
  for (const auto& setting : attention_settings()) {
    const auto attention = make_attention(setting, {shape.D, 10000, kTrained});
    if (!attention->bound() || *attention->bound() > 64) continue;
    const int64_t memory = attention->memory_values(shape.G, shape.D) / (2 * shape.G * shape.D);  // in tokens
    State state;
    for (int round = 0; round < 12; ++round) {
      state = run(*attention, position, x, pieces(64, round % 2 == 0 ? 16 : 1), std::move(state)).state;
      EXPECT_LE(memory_behind(state), static_cast<size_t>(2 * 2 * (*attention->bound() + memory + 64) * shape.D * 4)) << setting;
    }
  }
}

}  // namespace
}  // namespace longview
