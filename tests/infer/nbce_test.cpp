// NBCE: the step against numbers of the published one, its limits, and texts of several lengths read as one batch.
#include "longview/infer/nbce.h"

#include "longview/base/file.h"
#include "longview/base/json.h"
#include "tests/infer/tiny.h"
#include "tests/kernels/error.h"
#include "tests/laws/cases.h"
#include "tests/model/plain_forward.h"

namespace longview {
namespace {

using testing::as_exact_as_plain;
using testing::as_tensor;
using testing::largest_difference;
using testing::same_bits;
using testing::some_ids;
using testing::tiny_checkpoint;

const Transformer& tiny_model() { return testing::gated_model(); }  // some of the methods need gates

Tensor table(const Json& rows) {
  std::vector<Tensor> out;
  for (const auto& row : rows) out.push_back(at::tensor(row.get<std::vector<double>>(), at::kDouble));
  return at::stack(out);
}

TEST(Nbce, EveryStepIsThePublishedOne) {
  const Json cases = parse_json(read_text(LONGVIEW_GOLDEN "/nbce.json"), "nbce.json");
  for (size_t number = 0; number < cases.size(); ++number) {
    SCOPED_TRACE(number);
    const Json& one = cases[number];
    const NbceOptions options{one["pooling"], one["beta"], one["eta"], one["top_p"], 0};
    const Tensor logits = table(one["logits"]);  // [n+1,V]
    const Pooled ours = pool(logits, one["before"], options);
    // Both are sums of at most V terms, none of them larger, in f64.
    const double rounding = std::numeric_limits<double>::epsilon() * logits.abs().max().item<double>() * logits.size(1);
    EXPECT_EQ(ours.context, one["context"]);
    for (size_t k = 0; k < ours.entropy.size(); ++k) EXPECT_NEAR(ours.entropy[k], one["entropy"][k].get<double>(), rounding);
    for (size_t v = 0; v < one["merged"].size(); ++v) {
      const double made = ours.logits[static_cast<int64_t>(v)].item<double>();
      if (one["merged"][v].is_null()) EXPECT_LT(made, -1e29) << v;
      else EXPECT_NEAR(made, one["merged"][v].get<double>(), rounding) << v;
    }
  }
}

TEST(Nbce, OneContextWithoutBetaIsThatContext) {
  const Tensor logits = at::randn({2, 50}, at::kDouble);
  for (const std::string pooling : {"entropy", "mean", "max", "sum"})
    EXPECT_TRUE(same_bits(pool(logits, -1, {pooling, 0, 0.1, 1, 0}).logits, at::log_softmax(logits[1], -1))) << pooling;
}

TEST(Nbce, SumIsNaiveBayesAndMeanWithBetaOfAllButOneIsTheSame) {
  const Tensor logits = at::randn({6, 50}, at::kDouble), l = at::log_softmax(logits, -1);
  const Tensor bayes = l.narrow(0, 1, 5).sum(0) - 4 * l[0];  // [V]
  const auto most = 64 * std::numeric_limits<double>::epsilon() * bayes.abs().max().item<double>();
  EXPECT_LE(largest_difference(pool(logits, -1, {"sum", 0, 0.1, 1, 0}).logits, bayes), most);
  EXPECT_LE(largest_difference(pool(logits, -1, {"mean", 4, 0.1, 1, 0}).logits, bayes), most);
}

TEST(Nbce, TheSurestContextAnswersAndTheOneBeforeIsFavoured) {
  Tensor logits = at::zeros({4, 10}, at::kDouble);
  logits[2][7] = 3;
  logits[3][8] = 3.01;
  const NbceOptions options;
  EXPECT_EQ(pool(logits, -1, options).context, 2);
  EXPECT_EQ(pool(logits, 1, options).context, 1) << "eta";
  EXPECT_EQ(pool(logits, 0, options).context, 2) << "eta is not that much";
  EXPECT_EQ(pool(logits, 1, options).logits.argmax().item<int64_t>(), 7);
  EXPECT_EQ(pool(at::zeros({4, 10}), -1, options).context, 0) << "of equals the first";
  EXPECT_EQ(pool(at::zeros({4, 10}), 2, options).context, 2);
}

TEST(Nbce, WhatIsImpossibleStaysSo) {
  Tensor logits = at::zeros({3, 10});
  logits[1].narrow(0, 0, 9).fill_(-INFINITY);
  logits[2][9] = -INFINITY;
  logits[0][3] = -INFINITY;
  for (const std::string pooling : {"entropy", "mean", "max", "sum"}) {
    const Tensor made = pool(logits, -1, {pooling, 0.25, 0.1, 0.95, 0}).logits;
    EXPECT_TRUE(made.isfinite().all().item<bool>()) << pooling;
    EXPECT_TRUE(made.to(at::kFloat).isfinite().all().item<bool>()) << pooling;
  }
  EXPECT_EQ(pool(logits, -1, {}).logits.argmax().item<int64_t>(), 9);
}

TEST(Nbce, SettingsAreReadAndWrongOnesRefused) {
  EXPECT_EQ(parse_nbce("").pooling, "entropy");
  EXPECT_EQ(parse_nbce("mean:beta=2,top_p=1").beta, 2);
  EXPECT_EQ(parse_nbce("max").tau, 0.01);
  for (const std::string wrong : {"median", "entropy:gamma=1", "entropy:beta=-2", "entropy:eta=-1", "entropy:top_p=0", "max:tau=-1",
                                  "sum:beta=1", "max:top_p=1.1"})
    EXPECT_THROW(parse_nbce(wrong), Error) << wrong;
}

constexpr size_t kLengths[] = {5, 61, 1, 130, 64};

std::vector<Session> read_alone(const Method& method) {
  std::vector<Session> out(std::size(kLengths));
  for (size_t n = 0; n < out.size(); ++n) feed(tiny_model(), method, some_ids(kLengths[n], n), 50, out[n]);
  return out;
}

/// The logits [T,V] of a text in f32 and f64.
std::pair<Tensor, Tensor> plainly(std::span<const Id> ids) {
  static const testing::PlainModel single(tiny_checkpoint(), at::kFloat), exact(tiny_checkpoint(), at::kDouble);
  const auto position = tiny_model().method("rope", "full").position;
  const Tensor all = as_tensor(ids)[0];
  return {single.logits(all, *position), exact.logits(all, *position)};
}

TEST(Ragged, ABatchOfTextsSaysWhatEachAloneSays) {
  const Method method = tiny_model().method("rope", "full");
  std::vector<Segment> segments;
  std::vector<ModelState> states;
  std::vector<std::vector<Id>> tails;
  const auto sessions = read_alone(method);
  for (size_t n = 0; n < sessions.size(); ++n) {
    tails.push_back(some_ids(1 + 7 * n % 4, 100 + n));
    segments.push_back({as_tensor(tails[n]), sessions[n].state.seen()});
    states.push_back(sessions[n].state);
  }
  const auto out = tiny_model().forward(segments, method, states);
  for (size_t n = 0; n < out.size(); ++n) {
    SCOPED_TRACE(n);
    auto text = some_ids(kLengths[n], n);
    text.insert(text.end(), tails[n].begin(), tails[n].end());
    const auto [plain, exact] = plainly(text);
    const auto T = static_cast<int64_t>(tails[n].size()), from = static_cast<int64_t>(kLengths[n]);
    EXPECT_TRUE(as_exact_as_plain(tiny_model().logits(out[n].hidden)[0], plain.narrow(0, from, T), exact.narrow(0, from, T)));
    EXPECT_EQ(out[n].state.seen(), from + T);
  }
}

TEST(Ragged, EveryAttentionKeepsEachTextsState) {
  for (const auto& attention : testing::attention_settings()) {
    SCOPED_TRACE(attention);
    const Method method = tiny_model().method("", attention);
    const std::vector<Session> read = read_alone(method);
    const auto after = [&](std::vector<Session> sessions) {
      for (const Id id : {3, 1, 4, 1, 5}) feed(tiny_model(), method, std::vector<Id>(sessions.size(), id), sessions);
      return sessions;
    };
    const auto together = after(read);
    const Tensor logits = next_logits(tiny_model(), together);  // [n,V]
    for (size_t n = 0; n < read.size(); ++n) {
      const auto alike = after(std::vector<Session>(read.size(), read[n]));  // as many rows, so summed in the same order
      EXPECT_TRUE(same_bits(logits[static_cast<int64_t>(n)], next_logits(tiny_model(), alike)[0])) << "neighbours change nothing";
      EXPECT_EQ(together[n].digest, alike[0].digest);
      EXPECT_EQ(together[n].recent, alike[0].recent);
      EXPECT_EQ(together[n].state.bytes(), alike[0].state.bytes());
    }
  }
}

TEST(Ragged, ABatchOfOneIsTheTextItself) {
  const Method method = tiny_model().method("rope", "full");
  const auto ids = some_ids(40);
  const Segment segment{as_tensor(ids), 0};
  const auto one = tiny_model().forward(segment, method, {});
  const auto batch = tiny_model().forward(std::span(&segment, 1), method, std::vector<ModelState>(1));
  EXPECT_TRUE(same_bits(one.hidden, batch[0].hidden));
  EXPECT_TRUE(tiny_model().forward(std::span<const Segment>(), method, {}).empty());
  EXPECT_THROW(tiny_model().forward(std::span(&segment, 1), method, {}), Error);
  EXPECT_THROW(tiny_model().forward(std::span(&segment, 1), method, {one.state}), Error);
}

/// A tokenizer of ids without a text.
struct Silent final : Tokenizer {
  const TokenizerSpec& spec() const override { return spec_; }
  int64_t size() const override { return 320; }
  void encode(std::span<const TextPart>, const std::function<void(std::span<const Id>)>&) const override { fail("not needed"); }
  std::string bytes(Id, bool) const override { return ""; }
  TokenizerSpec spec_;
};

TEST(Contexts, AllOfThemHearWhatWasMade) {
  const Method method = tiny_model().method("rope", "full");
  Contexts contexts(tiny_model(), method, parse_nbce(""), read_alone(method));
  const GenerateOptions options{.most = 9, .stops = {}, .ignore_end = true, .sample = {}};
  const Generated made = generate(contexts, Silent(), options, [](std::string_view) { return true; });
  ASSERT_EQ(made.ids.size(), 9U);
  EXPECT_EQ(contexts.choices().size(), 9U);
  for (size_t n = 0; n < std::size(kLengths); ++n) {
    EXPECT_EQ(contexts.sessions()[n].state.seen(), static_cast<int64_t>(kLengths[n]) + 8) << "but the last token";
    EXPECT_EQ(contexts.sessions()[n].recent.back(), made.ids[7]);
  }
  for (const auto& choice : contexts.choices()) EXPECT_LT(choice.context, 4);
}

TEST(Contexts, ThoseThatAreAlikeAnswerAsOneDoes) {
  const Method method = tiny_model().method("rope", "full");
  Session session;
  feed(tiny_model(), method, some_ids(70), 70, session);
  const GenerateOptions options{.most = 12, .stops = {}, .ignore_end = true, .sample = {}};
  const auto write = [](std::string_view) { return true; };
  for (const std::string pooling : {"entropy:beta=0", "mean:beta=0", "max:beta=0", "sum"}) {  // sum: 3 l - 2 l
    Contexts contexts(tiny_model(), method, parse_nbce(pooling), std::vector<Session>(4, session));
    Session alone = session;
    EXPECT_EQ(generate(contexts, Silent(), options, write).ids, generate(tiny_model(), method, Silent(), options, alone, write).ids)
        << pooling;
  }
  EXPECT_THROW(Contexts(tiny_model(), method, parse_nbce(""), {session}), Error);
}

}  // namespace
}  // namespace longview
