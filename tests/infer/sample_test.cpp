// The sampler: what it draws against exact probabilities.
#include "longview/infer/sample.h"

#include <gtest/gtest.h>

#include <numeric>

namespace longview {
namespace {

constexpr int kDraws = 20000;
const std::vector<double> kLogits{1.0, -2.0, 3.0, 0.5, 2.5, -0.5, 2.5, -8.0};

Tensor tensor_of(const std::vector<double>& logits) { return at::tensor(logits, at::kDouble).to(at::kFloat); }

std::vector<double> softmax(const std::vector<double>& logits, double temperature) {
  std::vector<double> out;
  for (const double logit : logits) out.push_back(std::exp(logit / temperature));
  const double sum = std::accumulate(out.begin(), out.end(), 0.0);
  for (double& p : out) p /= sum;
  return out;
}

/// Only those tokens, renormalised.
std::vector<double> only(std::vector<double> p, const std::vector<size_t>& kept) {
  std::vector<double> out(p.size(), 0);
  double sum = 0;
  for (const size_t id : kept) sum += p[id];
  for (const size_t id : kept) out[id] = p[id] / sum;
  return out;
}

/// 20,000 draws; each frequency within five standard deviations of its probability, what has none is never drawn.
void expect_drawn(SampleOptions options, const std::vector<double>& wanted, const std::vector<double>& logits = kLogits,
                  const std::vector<Id>& recent = {}) {
  Sampler sampler(options);
  std::vector<int> count(logits.size(), 0);
  const Tensor x = tensor_of(logits);
  for (int n = 0; n < kDraws; ++n) ++count[static_cast<size_t>(sampler.next(x, recent))];
  for (size_t id = 0; id < wanted.size(); ++id) {
    const double p = wanted[id], deviation = std::sqrt(kDraws * p * (1 - p));
    EXPECT_LE(std::abs(count[id] - kDraws * p), 5 * deviation + 1e-6) << "token " << id << " of probability " << p;
  }
}

TEST(Sampler, DrawsAtTheTemperature) {
  for (const double temperature : {0.3, 1.0, 2.5})
    expect_drawn({.temperature = temperature, .seed = 1}, softmax(kLogits, temperature));
}

TEST(Sampler, TopKKeepsTheLikeliest) {
  expect_drawn({.temperature = 1, .top_k = 4, .seed = 2}, only(softmax(kLogits, 1), {2, 4, 6, 0}));
  expect_drawn({.temperature = 1, .top_k = 2, .seed = 2}, only(softmax(kLogits, 1), {2, 4}));
  expect_drawn({.temperature = 1, .top_k = 99, .seed = 2}, softmax(kLogits, 1));
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {  // 0.397, 0.241, 0.241, 0.054, 0.033, 0.012, ...
  expect_drawn({.temperature = 1, .top_p = 0.39, .seed = 3}, only(softmax(kLogits, 1), {2}));
  expect_drawn({.temperature = 1, .top_p = 0.5, .seed = 3}, only(softmax(kLogits, 1), {2, 4}));
  expect_drawn({.temperature = 1, .top_p = 0.9, .seed = 3}, only(softmax(kLogits, 1), {2, 4, 6, 0}));
  expect_drawn({.temperature = 1, .top_p = 1e-9, .seed = 3}, only(softmax(kLogits, 1), {2}));
}

TEST(Sampler, MinPDropsWhatIsLessLikelyThanAShareOfTheBest) {
  expect_drawn({.temperature = 1, .min_p = 0.1, .seed = 4}, only(softmax(kLogits, 1), {2, 4, 6, 0}));
  expect_drawn({.temperature = 1, .min_p = 0.5, .seed = 4}, only(softmax(kLogits, 1), {2, 4, 6}));
  expect_drawn({.temperature = 1, .min_p = 1, .seed = 4}, only(softmax(kLogits, 1), {2}));
}

TEST(Sampler, FiltersApplyInTheirOrder) {
  // Top-k 3 of temperature 2 leaves 0.391, 0.305, 0.305; of these 0.6 is reached by two.
  const auto p = only(softmax(kLogits, 2), {2, 4, 6});
  ASSERT_LT(p[2], 0.6);
  ASSERT_GT(p[2] + p[4], 0.6);
  expect_drawn({.temperature = 2, .top_k = 3, .top_p = 0.6, .seed = 5}, only(p, {2, 4}));
  expect_drawn({.temperature = 2, .top_k = 3, .top_p = 0.6, .min_p = 0.9, .seed = 5}, only(p, {2}));
}

TEST(Sampler, PenaltiesDividePositiveAndMultiplyNegativeLogits) {
  auto logits = kLogits;
  logits[2] /= 1.5, logits[1] *= 1.5;
  expect_drawn({.temperature = 1, .repeat_penalty = 1.5, .seed = 6}, softmax(logits, 1), kLogits, {1, 2, 2, 2});
}

TEST(Sampler, PenaltiesReachOnlyTheLastTokens) {
  auto logits = kLogits;
  logits[2] /= 3, logits[4] /= 3;
  expect_drawn({.temperature = 1, .repeat_penalty = 3, .repeat_last = 2, .seed = 7}, softmax(logits, 1), kLogits, {6, 0, 2, 4});
  expect_drawn({.temperature = 1, .repeat_penalty = 3, .repeat_last = 0, .seed = 7}, softmax(kLogits, 1), kLogits, {6, 0, 2, 4});
}

TEST(Sampler, AtTemperatureZeroTakesTheLikeliest) {
  Sampler sampler({});
  EXPECT_EQ(sampler.next(tensor_of(kLogits), {}), 2);
  Sampler penalised({.repeat_penalty = 2});
  EXPECT_EQ(penalised.next(tensor_of(kLogits), std::vector<Id>{2}), 4) << "penalties apply before";
}

TEST(Sampler, OfTiesTheSmallestIdIsFirst) {
  const Tensor flat = at::zeros({50});
  EXPECT_EQ(Sampler({}).next(flat, {}), 0);
  EXPECT_EQ(Sampler({}).next(tensor_of({0, 1, 1, 1}), {}), 1);
  const std::vector<double> ties{0, 7, 7, 7};
  expect_drawn({.temperature = 1, .top_k = 2, .seed = 8}, {0, 0.5, 0.5, 0}, ties);
  expect_drawn({.temperature = 1, .min_p = 1, .seed = 8}, {0, 1.0 / 3, 1.0 / 3, 1.0 / 3}, ties);
}

TEST(Sampler, ASeedGivesTheSameTokens) {
  const auto draw = [](int64_t seed) {
    Sampler sampler({.temperature = 2, .seed = seed});
    std::vector<Id> out;
    for (int n = 0; n < 12; ++n) out.push_back(sampler.next(tensor_of(kLogits), {}));
    return out;
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
  EXPECT_EQ(draw(7), (std::vector<Id>{0, 5, 2, 3, 2, 2, 0, 3, 2, 6, 0, 6})) << "on every machine";
}

TEST(Sampler, WhatCannotBeIsNeverDrawn) {
  expect_drawn({.temperature = 100, .seed = 9}, {0.5, 0, 0.5}, {1, -INFINITY, 1});
  expect_drawn({.temperature = 1e-30, .seed = 9}, {0, 1, 0}, {1, 2, 1});
}

TEST(Sampler, OptionsOutsideTheirRangeAreRefusedByName) {
  const auto error_of = [](SampleOptions options) {
    try {
      Sampler sampler(options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(error_of({.temperature = -1}).find("temperature"), std::string::npos);
  EXPECT_NE(error_of({.top_k = -1}).find("top-k"), std::string::npos);
  EXPECT_NE(error_of({.top_p = 0}).find("top-p"), std::string::npos);
  EXPECT_NE(error_of({.top_p = 1.1}).find("top-p"), std::string::npos);
  EXPECT_NE(error_of({.min_p = 1.1}).find("min-p"), std::string::npos);
  EXPECT_NE(error_of({.repeat_penalty = 0}).find("repeat-penalty"), std::string::npos);
  EXPECT_NE(error_of({.repeat_last = 257}).find("repeat-last-n"), std::string::npos);
  EXPECT_NE(error_of({.temperature = NAN}).find("temperature"), std::string::npos);
}

}  // namespace
}  // namespace longview
