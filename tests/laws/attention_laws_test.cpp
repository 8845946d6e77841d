// What every attention method does with every position method.
#include "tests/kernels/error.h"
#include "tests/laws/cases.h"

namespace longview {
namespace {

using namespace testing;  // NOLINT: the cases

class AttentionLaw : public ::testing::TestWithParam<std::tuple<std::string, std::string, Shape>> {
 protected:
  const Shape shape = std::get<2>(GetParam());
  const std::shared_ptr<const Attention> attention = make_attention(std::get<0>(GetParam()), {shape.D, 10000, kTrained});
  const std::shared_ptr<const Position> position = position_of(std::get<1>(GetParam()), {shape.D, 10000, kTrained, "", shape.H});
  const Qkv x = random_qkv(shape, 1);
  const int64_t T = shape.T;

  Outcome whole() const { return run(*attention, position, x, {T}); }
  /// The definition by the hooks, in the dtype of x, in one segment.
  Tensor defined(const Qkv& x) const { return run(*attention, position, x, {T}, {}, false).out; }
  /// `b` says what the definition says in one segment, in the rows where it was told the same as `a`, which is one segment.
  void expect_same(const Outcome& a, const Outcome& b) const {
    const Tensor rows = alike_rows(*position, a, b);  // [rows]
    ASSERT_GT(rows.numel(), 0);
    EXPECT_EQ(rows[-1].item<int64_t>(), T - 1) << "the last row is told of the whole text in both";
    const auto of = [&](const Tensor& out) { return out.index_select(2, rows); };
    EXPECT_TRUE(as_exact_as_plain(of(b.out), of(defined(x)), of(defined(in_double(x)))));
  }
};

TEST_P(AttentionLaw, TheFutureChangesNothing) {
  const int64_t now = T / 2 + 1;
  Qkv other = random_qkv(shape, 9);
  for (auto member : {&Qkv::q, &Qkv::k, &Qkv::v})
    other.*member = at::cat({(x.*member).narrow(2, 0, now), (other.*member).narrow(2, now, T - now)}, 2);
  for (const auto& cuts : {std::vector<int64_t>{T}, pieces(T, 48)}) {
    const Tensor out = run(*attention, position, x, cuts).out, changed = run(*attention, position, other, cuts).out;
    EXPECT_TRUE(same_bits(out.narrow(2, 0, now), changed.narrow(2, 0, now)));
    EXPECT_GT(largest_difference(out.narrow(2, now, T - now), changed.narrow(2, now, T - now)), 0.1);
  }
}

TEST_P(AttentionLaw, TheFusedFormSaysWhatTheHooksSay) {
  EXPECT_TRUE(as_exact_as_plain(whole().out, defined(x), defined(in_double(x))));
}

TEST_P(AttentionLaw, CutAnywhereTheResultIsTheSame) {
  const Outcome one = whole();
  expect_same(one, run(*attention, position, x, pieces(T, 13)));
  expect_same(one, run(*attention, position, x, {1, 2, T - 4, 1}));
}

TEST_P(AttentionLaw, DecodingGivesTheLastRowOfPrefill) {
  const Outcome one = whole(), step = run(*attention, position, x, {T - 1, 1});
  EXPECT_EQ(one.lengths.back(), step.lengths.back());
  expect_same(one, step);
}

TEST_P(AttentionLaw, AStateSavedAndRestoredContinuesToTheBit) {
  const auto half = T / 2;
  Outcome first = run(*attention, position, tokens(x, 0, half), {half});
  State restored = {first.state.seen, {}};
  for (const auto& [name, tensor] : first.state.tensors) restored.tensors[name] = tensor.clone(at::MemoryFormat::Contiguous);
  const Qkv rest = tokens(x, half, T - half);
  const auto cuts = pieces(T - half, 7);
  const Outcome live = run(*attention, position, rest, cuts, std::move(first.state));
  const Outcome again = run(*attention, position, rest, cuts, std::move(restored));
  EXPECT_TRUE(same_bits(live.out, again.out));
  for (const auto& [name, tensor] : live.state.tensors) EXPECT_TRUE(same_bits(tensor, again.state.tensors.at(name))) << name;
}

TEST_P(AttentionLaw, AForkDisturbsNobody) {
  const auto half = T / 2;
  const Qkv head = tokens(x, 0, half), a = tokens(x, half, T - half), b = tokens(random_qkv(shape, 5), half, T - half);
  const auto cuts = pieces(T - half, 5);
  const auto alone = [&](const Qkv& tail) {
    return run(*attention, position, tail, cuts, run(*attention, position, head, {half}).state).out;
  };
  State left = run(*attention, position, head, {half}).state, right = left;
  const State kept = left;
  std::vector<Tensor> of_left, of_right;
  int64_t at = 0;
  for (const int64_t count : cuts) {  // in turns, so that each could write over the other's memory
    Outcome one = run(*attention, position, tokens(a, at, count), {count}, std::move(left));
    Outcome two = run(*attention, position, tokens(b, at, count), {count}, std::move(right));
    of_left.push_back(one.out), of_right.push_back(two.out);
    left = std::move(one.state), right = std::move(two.state);
    at += count;
  }
  EXPECT_TRUE(same_bits(at::cat(of_left, 2), alone(a)));
  EXPECT_TRUE(same_bits(at::cat(of_right, 2), alone(b)));
  EXPECT_TRUE(same_bits(run(*attention, position, a, cuts, kept).out, alone(a))) << "the state before the fork has changed";
}

TEST_P(AttentionLaw, TheStateIsAsLargeAsDeclared) {
  const int64_t a_token = 2 * shape.B * shape.G * shape.D * 4;  // bytes of a key and a value
  const int64_t memory = shape.B * attention->memory_values(shape.G, shape.D) * 4;
  const int64_t period = period_of(*attention), rate = value_of(*attention, "rate", 1);
  const int64_t filled = attention->bound().value_or(T) + rate * memory / std::max<int64_t>(a_token, 1) + period;
  State state;
  std::vector<int64_t> bytes;
  for (int64_t t = 0; t < T; ++t) {
    state = run(*attention, position, tokens(x, t, 1), {1}, std::move(state)).state;
    EXPECT_EQ(state.seen, t + 1);
    bytes.push_back(state.bytes());
    if (!attention->bound()) {
      ASSERT_EQ(bytes.back(), (t + 1) * a_token);
      continue;
    }
    ASSERT_LE(bytes.back(), *attention->bound() * a_token + 2 * memory);
    if (t >= filled) ASSERT_EQ(bytes.back(), bytes[static_cast<size_t>(t - period)]) << "after " << t + 1 << " tokens";
  }
  EXPECT_EQ(run(*attention, position, x, pieces(T, 31)).state.bytes(), state.bytes()) << "however the text is cut";
}

bool has_bias(const Position& position) {
  const Pieces& pieces = position.fused();
  return pieces && std::any_of(pieces->begin(), pieces->end(), [](const Piece& piece) { return static_cast<bool>(piece.bias); });
}

TEST_P(AttentionLaw, RowsOfABatchAreIndependent) {
  Shape two = shape;
  two.B = 2;
  const Qkv both = random_qkv(two, 3);
  const auto cuts = pieces(T, 40);
  const Tensor out = run(*attention, position, both, cuts).out;
  for (int64_t b = 0; b < 2; ++b) {
    const Qkv one{both.q.narrow(0, b, 1), both.k.narrow(0, b, 1), both.v.narrow(0, b, 1), both.gate};
    const Tensor row = out.narrow(0, b, 1), alone = run(*attention, position, one, cuts).out;
    // Scores with a bias are a library's products, whose rounding may go by where in memory a row lies.
    EXPECT_TRUE(has_bias(*position) ? largest_difference(row, alone) < 1e-6 : same_bits(row, alone)) << b;
  }
}

TEST_P(AttentionLaw, NoTokensAreNoChange) {
  const Outcome empty = run(*attention, position, tokens(x, 0, 0), {0});
  EXPECT_EQ(empty.out.sizes(), (std::vector<int64_t>{shape.B, shape.H, 0, shape.D}));
  EXPECT_EQ(empty.state.seen, 0);
  const Outcome with = run(*attention, position, x, {0, 20, 0, T - 20, 0}), without = run(*attention, position, x, {20, T - 20});
  EXPECT_TRUE(same_bits(with.out, without.out));
  EXPECT_EQ(with.state.bytes(), without.state.bytes());
}

std::string case_name(const ::testing::TestParamInfo<AttentionLaw::ParamType>& info) {
  const auto& [attention, position, shape] = info.param;
  return name_of(attention) + "__" + name_of(position) + "__" + ::testing::PrintToString(shape);
}

/// Every pair that is not refused. Beside the first shape and the plain methods a pair gets one of the shapes, by turns.
std::vector<AttentionLaw::ParamType> every_pair() {
  std::vector<AttentionLaw::ParamType> out;
  size_t turn = 0;
  for (const auto& attention : attention_settings())
    for (const auto& position : position_settings()) {
      const Rotary rotary{8, 10000, kTrained};
      if (!refusal(*make_attention(attention, rotary), *make_position(position, rotary)).empty()) continue;
      if (position == "rope")
        for (const auto& shape : kShapes) out.emplace_back(attention, position, shape);
      else out.emplace_back(attention, position, kShapes[turn++ % kShapes.size()]);
    }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Every, AttentionLaw, ::testing::ValuesIn(every_pair()), case_name);

TEST(AttentionAndPosition, AreRefusedWhereAWindowWouldMoveWhatIsCountedFromTheStart) {
  const Rotary rotary{8, 10000, kTrained};
  for (const auto& entry : positions())
    for (const auto& other : attentions()) {
      const auto position = make_position(entry.name, rotary);
      const auto attention = make_attention(other.name, rotary);
      const bool is_anchored =
          entry.name == "auto" || entry.name == "dual_chunk" || entry.name == "self_extend" || entry.name == "fire";
      const std::string why = refusal(*attention, *position);
      if (attention->hybrid() != position->hybrid()) {
        EXPECT_NE(why.find("do not go together"), std::string::npos) << entry.name << " with " << other.name;
        continue;
      }
      EXPECT_EQ(!why.empty(), is_anchored && attention->bound().has_value()) << entry.name << " with " << other.name;
      if (!why.empty()) EXPECT_NE(why.find("goes with full attention only"), std::string::npos) << why;
    }
}

}  // namespace
}  // namespace longview
