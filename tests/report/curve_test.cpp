// What the report of `longview read` says: verdicts and sentences from the numbers. The losses are measured ones
// (SmolLM2-135M, trained for 8,192 tokens, an essay of 16,384).
#include "longview/report/curve.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "longview/base/check.h"
#include "longview/report/verdict.h"
#include "tests/report/xml.h"

namespace longview {
namespace {

using Texts = std::vector<std::string>;
constexpr int64_t kEdges[] = {0, 1024, 2048, 4096, 8192, 12288, 16384, 24576};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

ReadRun run(std::string label, const std::vector<double>& losses) {
  ReadRun out;
  out.label = std::move(label);
  for (size_t i = 0; i < losses.size(); ++i)
    out.buckets.push_back({kEdges[i], kEdges[i + 1], kEdges[i + 1] - kEdges[i] - (i == 0), losses[i]});
  out.tokens = kEdges[losses.size()];
  out.seconds = 80, out.tokens_per_second = 205, out.state_bytes = 45 << 20, out.rss_peak_bytes = 702 << 20;
  out.note = "What " + out.label + " remembers.";
  return out;
}

const ReadRun kPlain = run("plain", {2.791, 3.469, 2.915, 2.977, 4.001, 6.550});
const ReadRun kYarn = run("yarn4", {2.904, 3.580, 3.033, 3.081, 3.690, 3.556});
const ReadRun kDynamic = run("dynamic", {2.791, 3.469, 2.915, 2.977, 3.537, 3.453});
const ReadRun kStreaming = run("streaming", {2.791, 3.469, 2.915, 2.987, 3.546, 3.402});
const ReadRun kWindow = run("window", {2.791, 3.469, 2.915, 3.468, 4.009, 3.902});
const ReadRun kLinear = run("linear4", {4.417, 5.091, 4.812, 5.049, 5.265, 5.227});
const ReadRun kFlat = run("flat", {3.0, 3.02, 2.98, 3.0, 3.01, 3.01});

std::vector<Fate> fates(const std::vector<ReadRun>& runs, int64_t trained = 8192) {
  std::vector<Fate> out;
  for (const auto& verdict : judge(runs, trained)) out.push_back(verdict.fate);
  return out;
}

std::string all_of(const Texts& texts) {
  return std::accumulate(texts.begin(), texts.end(), std::string(),
                         [](const std::string& a, const std::string& b) { return a + b + "\n"; });
}

bool says(const Texts& texts, const std::string& words) { return all_of(texts).find(words) != std::string::npos; }

TEST(Verdict, OfTheMeasuredMethods) {
  const std::vector<ReadRun> runs = {kPlain, kYarn, kDynamic, kStreaming, kWindow, kLinear};
  EXPECT_EQ(fates(runs), (std::vector<Fate>{Fate::collapses, Fate::behind, Fate::holds, Fate::holds, Fate::behind, Fate::unfit}));
  const auto verdicts = judge(runs, 8192);
  EXPECT_TRUE(verdicts[3].best);
  EXPECT_NEAR(verdicts[1].behind, 0.149, 1e-3);
  EXPECT_NEAR(verdicts[4].behind, 0.482, 1e-3);
  EXPECT_NEAR(*verdicts[3].past, 3.474, 1e-9);
  EXPECT_EQ(verdicts[0].worst->from, 12288);
  EXPECT_NEAR(verdicts[0].worst_behind, 3.148, 1e-9);
  EXPECT_EQ(verdict_words(verdicts[1]), "0.15 behind");
}

TEST(Verdict, AloneItIsJudgedByItself) {
  EXPECT_EQ(fates({kPlain}), std::vector<Fate>{Fate::collapses});
  EXPECT_EQ(fates({kStreaming}), std::vector<Fate>{Fate::rises});
  EXPECT_EQ(fates({kFlat}), std::vector<Fate>{Fate::holds});
  EXPECT_EQ(fates({run("falls", {3.4, 3.3, 3.2, 3.1, 2.5, 2.4})}), std::vector<Fate>{Fate::holds});
}

TEST(Verdict, ACollapseOfTheBestIsOneOfAll) {
  const ReadRun worse = run("worse", {2.8, 3.5, 2.9, 3.0, 4.5, 7.5});
  EXPECT_EQ(fates({kPlain, worse}), (std::vector<Fate>{Fate::collapses, Fate::collapses}));
}

TEST(Verdict, WithoutBucketsPastNothingIsKnown) {
  EXPECT_EQ(fates({run("short", {2.8, 3.4, 2.9})}), std::vector<Fate>{Fate::unknown});
  EXPECT_EQ(fates({kPlain}, 0), std::vector<Fate>{Fate::unknown});
  EXPECT_EQ(fates({kPlain}, 14000), std::vector<Fate>{Fate::unknown});  // the last bucket lies across
  EXPECT_TRUE(judge({}, 8192).empty());
  // Inside there is still a best one.
  const auto verdicts = judge({kYarn, kStreaming}, 32768);
  EXPECT_FALSE(verdicts[0].best);
  EXPECT_TRUE(verdicts[1].best);
}

TEST(Verdict, OneThatWasStoppedEarlyIsComparedOverWhatItRead) {
  // Its mean over its own bucket past the length is the lowest; over that bucket alone plain is no better.
  const ReadRun stopped = run("stopped", {2.791, 3.469, 2.915, 2.977, 3.530});
  const auto verdicts = judge({kStreaming, stopped, kPlain}, 8192);
  EXPECT_TRUE(verdicts[1].best);
  EXPECT_NEAR(verdicts[0].behind, 0.016, 1e-9);
  const ReadRun unread = run("unread", {2.791, 3.469});
  EXPECT_EQ(fates({kStreaming, unread, kPlain}), (std::vector<Fate>{Fate::holds, Fate::unknown, Fate::collapses}));
}

TEST(Verdict, AFewTokensDoNotMakeACollapse) {
  ReadRun tail = kStreaming;
  tail.label = "tail";
  ReadRun best = kStreaming;
  best.buckets.push_back({16384, 24576, 40, 3.0});
  tail.buckets.push_back({16384, 24576, 40, 5.5});
  EXPECT_EQ(fates({best, tail}), (std::vector<Fate>{Fate::holds, Fate::holds}));
}

TEST(Verdict, ALossThatIsNoNumberIsACollapse) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), kInfinity}) {
    const ReadRun broken = run("broken", {2.8, 3.4, 2.9, 2.9, bad, bad});
    EXPECT_EQ(fates({kStreaming, broken}), (std::vector<Fate>{Fate::holds, Fate::collapses}));
    EXPECT_EQ(fates({broken}), std::vector<Fate>{Fate::collapses});
    EXPECT_EQ(fates({broken, broken}), (std::vector<Fate>{Fate::collapses, Fate::collapses}));
  }
}

TEST(Lead, OfTheMeasuredMethods) {
  const Texts lead = read_lead({kPlain, kYarn, kDynamic, kStreaming, kWindow, kLinear}, 8192);
  EXPECT_EQ(lead.at(0),
            "Past the 8,192 tokens the model was trained for, dynamic and streaming hold up; yarn4 and window fall behind; plain "
            "collapses; and linear4 does not fit this model at any length.");
  EXPECT_TRUE(says(lead,
                   "At tokens 12,288 to 16,384 the loss of plain is 6.55, against 3.40 for streaming: it gives the right token "
                   "23 times less probability."))
      << all_of(lead);
  EXPECT_TRUE(says(lead,
                   "Nats behind streaming on the same tokens, past the trained length (and inside it): yarn4 0.15 (0.10) and "
                   "window 0.48 (0.24)."));
  EXPECT_TRUE(says(lead, "The best, streaming, goes from a loss of 3.00 to 3.47."));
  EXPECT_NE(lead.at(1).find("nats"), std::string::npos);
}

TEST(Lead, OfOneMethodThatStays) {
  const Texts lead = read_lead({kFlat}, 8192);
  EXPECT_EQ(lead.at(0),
            "Past the 8,192 tokens the model was trained for, the loss of flat stays (+0.01 nats: 3.00 before, 3.01 after).");
}

TEST(Lead, OfOneMethodThatRises) {
  const Texts lead = read_lead({kStreaming}, 8192);
  EXPECT_EQ(
      lead.at(0),
      "Past the 8,192 tokens the model was trained for, the loss of streaming is 0.47 nats higher (3.00 before, 3.47 after).");
  EXPECT_TRUE(says(lead, "One method alone cannot tell"));
}

TEST(Lead, OfOneMethodThatCollapses) {
  const Texts lead = read_lead({kPlain}, 8192);
  EXPECT_EQ(lead.at(0), "Past the 8,192 tokens the model was trained for, plain collapses (loss 3.00 before, 5.28 after).");
  EXPECT_TRUE(says(lead,
                   "Worst are tokens 12,288 to 16,384, with a loss of 6.55: there the right token gets 35 times less probability "
                   "than inside the trained length."))
      << all_of(lead);
}

TEST(Lead, OfAllThatCollapse) {
  const ReadRun worse = run("worse", {2.8, 3.5, 2.9, 3.0, 4.5, 9.5});
  const Texts lead = read_lead({kPlain, worse}, 8192);
  EXPECT_EQ(lead.at(0), "Past the 8,192 tokens the model was trained for, plain and worse collapse.");
  EXPECT_TRUE(says(lead, "Even the best, plain, goes from a loss of 3.00 inside the trained length to 5.28 past it."))
      << all_of(lead);
}

TEST(Lead, OfATextInsideTheTrainedLength) {
  const Texts lead =
      read_lead({run("plain", {2.8, 3.4, 2.9}), run("yarn4", {2.9, 3.6, 3.0}), run("window", {2.8, 3.4, 2.91})}, 8192);
  EXPECT_EQ(lead.at(0), "The lowest loss is 3.00 nats a token, shared by plain and window; behind: yarn4 by 0.13.");
  EXPECT_TRUE(says(lead, "This text stays inside the model's trained length (4,096 of 8,192 tokens)"));
  EXPECT_FALSE(says(lead, "collapse"));
}

TEST(Lead, OfBucketsAcrossTheTrainedLength) {
  const Texts lead = read_lead({kPlain}, 14000);
  EXPECT_EQ(lead.at(0).rfind("The lowest loss", 0), std::string::npos);
  EXPECT_TRUE(says(lead, "No bucket lies wholly past the trained length of 14,000 tokens"));
}

TEST(Lead, OfAnUnknownTrainedLength) {
  const Texts lead = read_lead({kPlain, kStreaming}, 0);
  EXPECT_TRUE(says(lead, "length this model was trained for is not known"));
  EXPECT_TRUE(says(lead, "by streaming; behind: plain by 0.90.")) << all_of(lead);
}

TEST(Lead, NamesWhatWasNotReadFarEnough) {
  EXPECT_TRUE(says(read_lead({kStreaming, kPlain, run("slow", {2.8})}, 8192), "slow was not read far enough"));
}

TEST(Lead, NeverWritesNan) {
  const ReadRun broken = run("broken", {2.8, 3.4, 2.9, 2.9, std::numeric_limits<double>::quiet_NaN(), kInfinity});
  const ReadRun empty = run("empty", {});
  for (const auto& runs : std::vector<std::vector<ReadRun>>{
           {broken}, {broken, broken}, {kStreaming, broken}, {broken, kLinear}, {empty}, {empty, empty}, {empty, kPlain}})
    for (const int64_t trained : {0, 512, 8192, 100000}) {
      const Texts lead = read_lead(runs, trained);
      EXPECT_GE(lead.size(), 2u);
      EXPECT_FALSE(says(lead, "nan")) << all_of(lead);
      EXPECT_FALSE(says(lead, "inf ")) << all_of(lead);
    }
}

TEST(ReadReport, HasEverythingAndIsWellFormed) {
  const ReadReport about{"essay.txt", "SmolLM2-135M-Instruct", 8192, {{"commit", "e1dd4d5"}, {"machine", "2 cores"}}};
  const std::string text = html(read_report({kPlain, kYarn, kDynamic, kStreaming, kWindow}, about));
  const auto root = xml::parse(text);
  EXPECT_EQ(root.all("h1").at(0)->text, "SmolLM2-135M-Instruct reads essay.txt");
  EXPECT_EQ(root.all("li").size(), 5u);
  EXPECT_EQ(root.all("table").size(), 3u);
  EXPECT_EQ(root.all("td", "good").size(), 2u);
  EXPECT_EQ(root.all("td", "bad").at(0)->text, "collapses");
  for (const char* words : {"What streaming remembers.", "6.550", "45 MiB", "702 MiB", "e1dd4d5", "trained length 8,192"})
    EXPECT_NE(root.text.find(words), std::string::npos) << words;
  EXPECT_THROW(read_report({}, about), Error);
  EXPECT_NO_THROW(xml::parse(html(read_report({run("empty", {})}, {}))));
}

TEST(ReadReport, AMethodWithoutAnyBucketIsStillListed) {
  const auto root = xml::parse(html(read_report({kPlain, run("empty", {})}, {"t", "m", 8192, {}})));
  EXPECT_EQ(root.all("li").size(), 2u);
}

TEST(LossPlot, ManyBucketsAreDrawnAsFewWithTheirMean) {
  ReadRun book;
  book.label = "book";
  double sum = 0;
  int64_t tokens = 0;
  for (int i = 0; i < 1000; ++i) {
    book.buckets.push_back({i * 1024, (i + 1) * 1024, 1024 - (i == 0), 3 + 0.001 * i});
    sum += book.buckets.back().nll * static_cast<double>(book.buckets.back().tokens);
    tokens += book.buckets.back().tokens;
  }
  const Plot plot = loss_plot({book}, 8192);
  const auto& points = plot.series[0].points;
  EXPECT_LE(points.size(), 50u);
  EXPECT_GE(points.size(), 40u);
  double drawn = 0;
  bool at_trained = false;
  for (size_t i = 0; i < points.size(); ++i) {
    if (i > 0) {
      EXPECT_EQ(points[i].x, points[i - 1].to);
    }
    at_trained |= points[i].x == 8192;
    drawn += points[i].y * (points[i].to - points[i].x - (i == 0));
  }
  EXPECT_TRUE(at_trained);
  EXPECT_NEAR(drawn, sum, 1e-6 * sum);
  EXPECT_EQ(points.back().to, 1024000);
}

}  // namespace
}  // namespace longview
