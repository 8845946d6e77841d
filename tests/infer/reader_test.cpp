// The reader against a plain loop: one forward pass over the whole text and the loss of every token.
#include "longview/infer/reader.h"

#include <map>

#include "longview/kernels/elementwise.h"
#include "longview/kernels/loops.h"
#include "tests/infer/tiny.h"
#include "tests/kernels/error.h"

namespace longview {
namespace {

using testing::as_tensor;
using testing::gated_model;
using testing::same_bits;
using testing::some_ids;
using testing::tiny_model;

constexpr int64_t kTokens = 300;
// Of sums in f64 in another order; with matrix tiles calls of few rows and of many round differently.
const double kRounding = kernels::loops().packing != nullptr ? 1e-6 : 1e-12;

struct Reading : ::testing::Test {
  const std::vector<Id> ids = some_ids(kTokens);
  const Method method = tiny_model().method("rope", "full");
  const Tensor losses = plain_losses(method);  // f64 [T-1]: of tokens 1 to T-1

  Tensor plain_losses(const Method& with) const {
    const auto out = tiny_model().forward({as_tensor(ids), 0}, with, {});
    const Tensor logits = tiny_model().logits(out.hidden)[0];  // [T,V]
    return kernels::nll(logits.narrow(0, 0, kTokens - 1), as_tensor(ids)[0].narrow(0, 1, kTokens - 1));
  }
  double mean(int64_t from, int64_t to) const { return losses.narrow(0, from - 1, to - from).mean().item<double>(); }
  ReadResult read(ReadOptions options) const {
    Session session;
    return read(std::move(options), session, ids);
  }
  ReadResult read(ReadOptions options, Session& session, std::span<const Id> part) const {
    Reader reader(tiny_model(), method, std::move(options), session);
    reader.read(part);
    return reader.finish();
  }
};

TEST_F(Reading, TheLossIsThatOfAPlainLoopWhateverTheChunk) {
  for (const int64_t chunk : {1, 2, 7, 64, 128, 299, 300, 512}) {
    const ReadResult result = read({.chunk = chunk, .edges = {}, .progress = {}});
    EXPECT_EQ(result.tokens, kTokens);
    EXPECT_EQ(result.predicted, kTokens - 1) << "the first token has no prediction";
    EXPECT_NEAR(result.nll, mean(1, kTokens), kRounding) << "chunks of " << chunk;
  }
}

TEST_F(Reading, BucketsHoldTheLossesOfTheirPositions) {
  for (const int64_t chunk : {1, 50, 512}) {
    const ReadResult result = read({.chunk = chunk, .edges = {10, 11, 64, 128, 200, 1000}, .progress = {}});
    const std::vector<std::pair<int64_t, int64_t>> wanted{{10, 11}, {11, 64}, {64, 128}, {128, 200}, {200, 300}};
    ASSERT_EQ(result.buckets.size(), wanted.size());
    for (size_t n = 0; n < wanted.size(); ++n) {
      const auto [from, to] = wanted[n];
      EXPECT_EQ(result.buckets[n].from, from);
      EXPECT_EQ(result.buckets[n].to, to);
      EXPECT_EQ(result.buckets[n].tokens, to - from);
      EXPECT_NEAR(result.buckets[n].nll, mean(from, to), kRounding) << "from " << from;
    }
    EXPECT_NEAR(result.nll, mean(1, kTokens), kRounding) << "the mean is of all tokens, in a bucket or not";
  }
}

TEST_F(Reading, OffsetsHoldTheLossesOfTheirPlacesInEveryPeriod) {
  for (const auto& [period, wanted] : std::map<int64_t, std::vector<std::pair<int64_t, int64_t>>>{
           {5, {{0, 5}}},
           {8, {{0, 8}}},
           {40, {{0, 8}, {8, 16}, {16, 32}, {32, 40}}},
           {1000, {{0, 8}, {8, 16}, {16, 32}, {32, 64}, {64, 128}, {128, 256}, {256, 512}}}}) {
    const ReadResult result = read({.chunk = 50, .edges = {0}, .period = period, .progress = {}});
    ASSERT_EQ(result.offsets.size(), wanted.size()) << period;
    for (size_t n = 0; n < wanted.size(); ++n) {
      const auto& part = result.offsets[n];
      EXPECT_EQ(std::pair(part.from, part.to), wanted[n]);
      double sum = 0;
      int64_t tokens = 0;
      for (int64_t t = 1; t < kTokens; ++t)
        if (t % period >= part.from && t % period < part.to) sum += losses[t - 1].item<double>(), ++tokens;
      EXPECT_EQ(part.tokens, tokens);
      EXPECT_NEAR(part.nll, sum / static_cast<double>(tokens), kRounding) << period << " from " << part.from;
    }
  }
}

TEST_F(Reading, TheFirstBucketLacksTheFirstToken) {
  const ReadResult result = read({.chunk = 64, .edges = {0, 100}, .progress = {}});
  EXPECT_EQ(result.buckets[0].tokens, 99);
  EXPECT_NEAR(result.buckets[0].nll, mean(1, 100), kRounding);
}

TEST_F(Reading, IdsMayComeInAnyPortions) {
  const ReadResult whole = read({.chunk = 64, .edges = {}, .progress = {}});
  Session session;
  Reader reader(tiny_model(), method, {.chunk = 64, .edges = {}, .progress = {}}, session);
  for (size_t at = 0; at < ids.size(); at += 7)
    EXPECT_TRUE(reader.read(std::span(ids).subspan(at, std::min<size_t>(7, ids.size() - at))));
  EXPECT_EQ(reader.finish().nll, whole.nll);
}

TEST_F(Reading, TwoReadsOfOneSessionAreOneText) {
  for (const size_t cut : {1, 100, 299}) {
    Session session;
    const ReadResult first = read({.chunk = 64, .edges = {0}, .progress = {}}, session, std::span(ids).first(cut));
    const ReadResult second = read({.chunk = 64, .edges = {0}, .progress = {}}, session, std::span(ids).subspan(cut));
    EXPECT_EQ(first.predicted, static_cast<int64_t>(cut) - 1);
    EXPECT_EQ(second.predicted, kTokens - static_cast<int64_t>(cut)) << "its first token is predicted by the text before";
    EXPECT_NEAR(second.nll, mean(static_cast<int64_t>(cut), kTokens), kRounding);
    EXPECT_EQ(session.state.seen(), kTokens);
  }
}

TEST_F(Reading, AnInterruptedReadKeepsWhatItHas) {
  Session session;
  int calls = 0;
  Reader reader(tiny_model(), method,
                {.chunk = 50,
                 .edges = {},
                 .progress =
                     [&](int64_t tokens, double) {
                       EXPECT_EQ(tokens, 50 * ++calls);
                       return calls < 3;
                     }},
                session);
  EXPECT_FALSE(reader.read(ids));
  EXPECT_FALSE(reader.read(ids)) << "further ids are ignored";
  const ReadResult result = reader.finish();
  EXPECT_TRUE(result.is_interrupted);
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(result.tokens, 150);
  EXPECT_EQ(session.state.seen(), 150);
  EXPECT_NEAR(result.nll, mean(1, 150), kRounding);
  EXPECT_NEAR(read({.chunk = 64, .edges = {}, .progress = {}}, session, std::span(ids).subspan(150)).nll, mean(150, kTokens),
              kRounding)
      << "and can be continued";
}

TEST_F(Reading, ProgressTellsTheMeanOfEachSegment) {
  int64_t before = 0;
  read({.chunk = 70, .edges = {}, .progress = [&](int64_t tokens, double nll) {
          EXPECT_NEAR(nll, mean(std::max<int64_t>(before, 1), tokens), kRounding);
          before = tokens;
          return true;
        }});
  EXPECT_EQ(before, kTokens);
}

TEST_F(Reading, AVeryShortTextHasNoLoss) {
  Session session;
  const ReadResult none = read({}, session, {});
  EXPECT_EQ(none.tokens, 0);
  EXPECT_EQ(none.nll, 0);
  EXPECT_FALSE(session.hidden.defined());
  const ReadResult one = read({}, session, std::span(ids).first(1));
  EXPECT_EQ(one.tokens, 1);
  EXPECT_EQ(one.predicted, 0);
  EXPECT_TRUE(one.buckets.empty());
}

TEST_F(Reading, TheSessionRemembersTheTokensHoweverTheyWereCut) {
  Session one, other;
  feed(tiny_model(), method, ids, 512, one);
  feed(tiny_model(), method, ids, 7, other);
  EXPECT_EQ(one.digest, other.digest);
  EXPECT_EQ(one.recent, other.recent);
  EXPECT_EQ(one.recent, std::vector<Id>(ids.end() - Session::kRecent, ids.end()));
  EXPECT_TRUE(same_bits(one.hidden, other.hidden)) << "full attention is the same to the bit however a text is cut";
  feed(tiny_model(), method, {}, 7, other);
  EXPECT_EQ(one.digest, other.digest) << "no tokens change nothing";
  auto swapped = ids;
  std::swap(swapped[3], swapped[4]);
  Session turned;
  feed(tiny_model(), method, swapped, 512, turned);
  EXPECT_NE(one.digest, turned.digest) << "order matters";
}

TEST_F(Reading, WhatIsFedIsWhatIsReadButForTheRowsThatNobodyLooksAt) {
  for (const char* setting : {"full", "infini:segment=32", "infini:segment=48,overlap=16", "streaming:window=64,sinks=4"}) {
    const Method own = gated_model().method("", setting);
    Session fed, read;
    feed(gated_model(), own, ids, 100, fed);
    for (int64_t at = 0; at < kTokens; at += 100) {
      const int64_t count = std::min<int64_t>(100, kTokens - at);
      EXPECT_EQ(advance(gated_model(), own, {as_tensor(std::span(ids).subspan(at, count)), at}, read).size(0), count);
    }
    EXPECT_TRUE(same_bits(fed.hidden, read.hidden)) << setting;
    ASSERT_EQ(fed.state.layers.size(), read.state.layers.size());
    for (size_t layer = 0; layer < fed.state.layers.size(); ++layer)
      for (const auto& [name, tensor] : fed.state.layers[layer].tensors)
        EXPECT_TRUE(same_bits(tensor, read.state.layers[layer].tensors.at(name))) << setting << " " << name;
    std::vector<Session> together(2);  // as one batch, of other lengths
    const std::vector<Segment> segments{{as_tensor(std::span(ids).first(100)), 0}, {as_tensor(std::span(ids).first(33)), 0}};
    advance(gated_model(), own, segments, together);
    for (size_t n = 0; n < 2; ++n) {
      Session alone;
      advance(gated_model(), own, segments[n], alone);
      EXPECT_TRUE(same_bits(together[n].hidden, alone.hidden)) << setting;
    }
  }
}

TEST_F(Reading, ASegmentOfNoTokensChangesNothing) {
  Session session;
  feed(tiny_model(), method, ids, 512, session);
  const Session before = session;
  const Tensor hidden = advance(tiny_model(), method, {at::zeros({1, 0}, at::kLong), kTokens}, session);
  EXPECT_EQ(hidden.size(0), 0);
  EXPECT_EQ(session.digest, before.digest);
  EXPECT_EQ(session.state.seen(), kTokens);
  EXPECT_TRUE(same_bits(session.hidden, before.hidden));
}

TEST_F(Reading, WrongOptionsAreRefused) {
  Session session;
  const auto reader = [&](int64_t chunk, std::vector<int64_t> edges) {
    Reader(tiny_model(), method, {.chunk = chunk, .edges = std::move(edges), .progress = {}}, session);
  };
  EXPECT_THROW(reader(0, {}), Error);
  EXPECT_THROW(reader(5, {-1, 5}), Error);
  EXPECT_THROW(reader(5, {0, 5, 5}), Error);
  EXPECT_THROW(tiny_model().forward({as_tensor(ids), 5}, method, {}), Error) << "the state has seen nothing";
}

TEST(DefaultEdges, BeginAtZeroAndHaveTheTrainedLength) {
  for (const int64_t trained : {1, 2, 5, 512, 8192}) {
    const auto edges = default_edges(trained);
    EXPECT_EQ(edges.front(), 0);
    EXPECT_TRUE(std::is_sorted(edges.begin(), edges.end(), std::less_equal<>())) << trained;
    EXPECT_NE(std::find(edges.begin(), edges.end(), trained), edges.end()) << trained;
    EXPECT_NE(std::find(edges.begin(), edges.end(), 4 * trained), edges.end()) << trained;
  }
}

}  // namespace
}  // namespace longview
