// Attention on the CPU against its definition in float64, and what its result may not depend on.
#include "longview/kernels/attention.h"

#include <gtest/gtest.h>

#include "longview/kernels/loops.h"
#include "tests/kernels/attention_cases.h"
#include "tests/kernels/error.h"

namespace longview::kernels {
namespace {

using namespace testing;  // NOLINT: the cases

Tensor cpu(const AttentionOperands& x) { return attention_cpu(x.q, x.sets, x.scale); }
Tensor ref(const AttentionOperands& x) { return attention_ref(x.q, x.sets, x.scale); }

struct AttentionKernels : ::testing::TestWithParam<AttentionCase> {
  const AttentionOperands x = operands(GetParam());
};

/// Rows [first, first + count) of the queries.
AttentionOperands rows_of(const AttentionOperands& x, int64_t first, int64_t count) {
  AttentionOperands out{x.q.narrow(2, first, count), x.scale.narrow(0, first, count), x.sets};
  for (auto& set : out.sets) {
    set.from = {set.from.begin() + first, set.from.begin() + first + count};
    set.to = {set.to.begin() + first, set.to.begin() + first + count};
    if (set.query.cos.defined()) set.query = {set.query.cos.narrow(0, first, count), set.query.sin.narrow(0, first, count)};
  }
  return out;
}

/// A copy somewhere else in memory, heads and tokens further apart, at an odd address.
Tensor elsewhere(const Tensor& x) {
  const int64_t B = x.size(0), H = x.size(1), T = x.size(2), D = x.size(3);
  const Tensor memory = at::full({B * H * (T + 3) * (D + 5) + 1}, NAN, x.options());
  const Tensor out = at::as_strided(memory, x.sizes(), {H * (T + 3) * (D + 5), (T + 3) * (D + 5), D + 5, 1}, 1);
  out.copy_(x);
  return out;
}

TEST_P(AttentionKernels, AreAsExactAsThePlainFormula) {
  ASSERT_EQ(attention_cpu_refusal(x.q, x.sets, x.scale), "");
  EXPECT_TRUE(as_exact_as_plain(cpu(x), ref(x), ref(as(x, at::kDouble))));
}

/// Whether a call of so many queries is computed on matrix tiles.
bool is_tiled(const AttentionOperands& x, int64_t queries) {
  return loops().packing != nullptr && x.q.size(3) >= 32 && queries * (x.q.size(1) / x.sets[0].k.size(1)) > kTileRows;
}

Tensor in_parts(const AttentionOperands& x, int64_t count) {
  std::vector<Tensor> parts;
  const int64_t T = x.q.size(2);
  for (int64_t first = 0; first < T; first += count) parts.push_back(cpu(rows_of(x, first, std::min(count, T - first))));
  return at::cat(parts, 2);
}

TEST_P(AttentionKernels, ARowDoesNotDependOnItsCompany) {
  const int64_t T = x.q.size(2);
  const Tensor together = cpu(x), alone = in_parts(x, 1);
  if (!is_tiled(x, T)) EXPECT_TRUE(same_bits(alone, together));
  for (const int64_t count : {3L, 30L, T / 2 + 1, std::max(T - 1, 1L)}) {
    const Tensor parts = in_parts(x, count);
    for (int64_t first = 0; first < T; first += count) {
      const int64_t rows = std::min(count, T - first);
      const Tensor& wanted = is_tiled(x, rows) ? together : alone;
      EXPECT_TRUE(same_bits(parts.narrow(2, first, rows), wanted.narrow(2, first, rows))) << count << " rows at a time";
    }
  }
}

TEST_P(AttentionKernels, RowsAloneAreAsExactAsPlain) {
  EXPECT_TRUE(as_exact_as_plain(in_parts(x, 1), ref(x), ref(as(x, at::kDouble))));
}

TEST_P(AttentionKernels, ResultsDoNotDependOnWhereTensorsLie) {
  AttentionOperands moved = x;
  moved.q = elsewhere(x.q);
  for (auto& set : moved.sets) set.k = elsewhere(set.k), set.v = elsewhere(set.v);
  EXPECT_TRUE(same_bits(cpu(moved), cpu(x)));
}

TEST_P(AttentionKernels, KeysThatNobodySeesMayBeAbsent) {
  AttentionOperands more = x, fewer = x;
  for (size_t s = 0; s < x.sets.size(); ++s) {
    const int64_t keys = x.sets[s].k.size(2), dropped = std::min<int64_t>(keys, 7);
    for (auto& from : more.sets[s].from) from = std::max(from, dropped);
    for (auto& to : more.sets[s].to) to = std::max(to, dropped);
    auto& set = fewer.sets[s];
    set.k = set.k.narrow(2, dropped, keys - dropped), set.v = set.v.narrow(2, dropped, keys - dropped), set.first += dropped;
    if (set.key.cos.defined())
      set.key = {set.key.cos.narrow(0, dropped, keys - dropped), set.key.sin.narrow(0, dropped, keys - dropped)};
    for (size_t t = 0; t < set.from.size(); ++t)
      set.from[t] = more.sets[s].from[t] - dropped, set.to[t] = more.sets[s].to[t] - dropped;
  }
  EXPECT_TRUE(same_bits(cpu(fewer), cpu(more)));
}

TEST_P(AttentionKernels, RowsThatSeeNothingAreZero) {
  const Tensor out = cpu(x);
  for (int64_t t = 0; t < x.q.size(2); ++t) {
    bool sees = false;
    for (const auto& set : x.sets) sees = sees || set.from[static_cast<size_t>(t)] < set.to[static_cast<size_t>(t)];
    EXPECT_EQ((out.select(2, t) == 0).all().item<bool>(), !sees) << t;
  }
}

TEST_P(AttentionKernels, ValuesThatAreAllOneStayOne) {
  AttentionOperands ones = x;
  for (auto& set : ones.sets) set.v = at::ones_like(set.v);
  EXPECT_TRUE(as_exact_as_plain(cpu(ones), ref(ones), ref(as(ones, at::kDouble)), 3));  // some libraries sum ones exactly
}

INSTANTIATE_TEST_SUITE_P(Case, AttentionKernels, ::testing::ValuesIn(kAttentionCases), [](const auto& info) {
  std::string name = info.param.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
});

TEST(AttentionKernel, HugeScoresPickTheLargest) {
  for (const double size : {1e4, 1e15, 1e30}) {
    AttentionOperands x = operands({.name = "", .T = 70, .pairs = 0, .size = size});
    const Tensor out = cpu(x);
    EXPECT_TRUE(out.isfinite().all().item<bool>()) << size;
    const Tensor k = x.sets[0].k.repeat_interleave(3, 1), v = x.sets[0].v.repeat_interleave(3, 1);
    Tensor score = at::matmul(x.q.to(at::kDouble), k.to(at::kDouble).transpose(-1, -2));  // [B,H,T,Tk]
    const Tensor j = at::arange(100, at::kLong), to = at::tensor(x.sets[0].to, at::kLong).unsqueeze(-1);
    score = score.masked_fill(j >= to, -INFINITY);
    const auto [best, at] = score.topk(2);
    const Tensor clear = (best.select(-1, 0) - best.select(-1, 1)) > best.select(-1, 0).abs() * 1e-3 + 1e3;  // [B,H,T]
    const Tensor picked = v.gather(2, at.select(-1, 0).unsqueeze(-1).expand({-1, -1, -1, 64}));              // [B,H,T,D]
    EXPECT_GT(clear.sum().item<int64_t>(), 100);
    EXPECT_TRUE(same_bits(out.index({clear}), picked.index({clear}))) << size;
  }
}

TEST(AttentionKernel, TheFirstOfTheTableThatCanRuns) {
  const AttentionOperands x = operands({.name = ""}), exact = as(x, at::kDouble);
  EXPECT_TRUE(same_bits(attention(x.q, x.sets, x.scale), cpu(x)));
  EXPECT_TRUE(same_bits(attention(exact.q, exact.sets, exact.scale), ref(exact))) << "f64 is for the definition";
  AttentionOperands turned = x;
  turned.sets[0].k = x.sets[0].k.transpose(2, 3).contiguous().transpose(2, 3);
  EXPECT_NE(attention_cpu_refusal(turned.q, turned.sets, turned.scale), "");
  EXPECT_TRUE(same_bits(attention(turned.q, turned.sets, turned.scale), ref(turned)));
  turned = x, turned.sets[0].key.sin = x.sets[0].key.sin.t().contiguous().t();
  EXPECT_NE(attention_cpu_refusal(turned.q, turned.sets, turned.scale), "") << "a rotation whose rows are not rows in memory";
}

TEST(AttentionKernel, WrongOperandsAreRefusedByName) {
  const AttentionOperands x = operands({.name = "", .T = 4, .sets = {{.keys = 9}}});
  const auto refused = [](AttentionOperands y, const char* what) {
    try {
      attention(y.q, y.sets, y.scale);
      ADD_FAILURE() << "not refused: " << what;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
  };
  AttentionOperands y = x;
  y.sets[0].to[2] = 10;
  refused(y, "query 2 sees keys 0 to 10 of 9");
  y = x, y.sets[0].from[1] = -1;
  refused(y, "query 1 sees keys -1");
  y = x, y.sets[0].from.pop_back();
  refused(y, "a range is needed for each of 4 queries");
  y = x, y.scale = x.scale.narrow(0, 0, 3);
  refused(y, "scale must be");
  y = x, y.sets[0].v = x.sets[0].v.narrow(2, 0, 8);
  refused(y, "v must be");
  y = x, y.sets[0].key.cos = x.sets[0].key.cos.narrow(0, 0, 8);
  refused(y, "key.cos must be");
  y = x, y.q = x.q.narrow(1, 0, 5);
  refused(y, "5 query heads do not share 2 key heads evenly");
}

}  // namespace
}  // namespace longview::kernels
