// Position codes that a model is trained with: published numbers, formulas written out, and what goes over such a model.
#include <gtest/gtest.h>

#include <set>

#include "longview/attention/attention.h"
#include "tests/kernels/error.h"

namespace longview {
namespace {

using testing::largest_difference;

Rotary of_heads(int64_t heads) { return {64, 1e4, 512, "", heads}; }

/// Biases of the last query over its distance: [H,n], distance 0 first.
Tensor by_distance(const std::string& setting, const Rotary& rotary, int64_t n) {
  return make_position(setting, rotary)->bias(at::tensor({n - 1}, at::kLong), at::arange(n, at::kLong)).select(1, 0).flip(1);
}

void expect_values(const Tensor& ours, const std::vector<double>& wanted) {
  EXPECT_LT(largest_difference(ours, at::tensor(wanted, at::kDouble)), 1e-15);
}

TEST(Alibi, SlopesAreThePapersAndForOtherCountsItsCodes) {
  const auto slopes = [](int64_t heads) { return -by_distance("alibi", of_heads(heads), 2).select(1, 1); };
  expect_values(slopes(8), {0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625});
  std::vector<double> twelve;
  for (const double power : {1., 2., 3., 4., 5., 6., 7., 8., 0.5, 1.5, 2.5, 3.5}) twelve.push_back(std::exp2(-power));
  expect_values(slopes(12), twelve);
  EXPECT_NEAR((slopes(16)[1] / slopes(16)[0]).item<double>(), std::exp2(-0.5), 1e-15);
  expect_values(slopes(1), {std::exp2(-8)});
  const Tensor row = by_distance("alibi", of_heads(8), 100)[0];
  EXPECT_LT(largest_difference(row, at::arange(100, at::kDouble) * -0.5), 1e-15);
}

TEST(T5, BucketsAreThoseOfItsCode) {
  Rotary rotary = of_heads(1);
  rotary.values["t5_table"] = at::arange(32, at::kFloat).unsqueeze(0);
  const Tensor bucket = by_distance("t5", rotary, 5000)[0];
  for (int64_t d = 0; d < 16; ++d) EXPECT_EQ(bucket[d].item<double>(), d);
  for (const auto& [d, wanted] : std::vector<std::pair<int64_t, double>>{{16, 16},
                                                                         {18, 16},
                                                                         {19, 17},
                                                                         {20, 17},
                                                                         {23, 18},
                                                                         {24, 19},
                                                                         {31, 21},
                                                                         {32, 21},
                                                                         {63, 26},
                                                                         {64, 26},
                                                                         {100, 30},
                                                                         {112, 30},
                                                                         {113, 31},
                                                                         {128, 31},
                                                                         {4999, 31}})
    EXPECT_EQ(bucket[d].item<double>(), wanted) << "distance " << d;
  EXPECT_GE(at::diff(bucket).min().item<double>(), 0);
  EXPECT_EQ(by_distance("t5", of_heads(3), 50).abs().max().item<double>(), 0) << "before training it is NoPE";
}

TEST(Kerple, IsItsFormulaAndStaysPositive) {
  Rotary rotary = of_heads(2);
  rotary.values["kerple_r1"] = at::tensor({1.5F, -3.0F}), rotary.values["kerple_r2"] = at::tensor({0.25F, 5.0F});
  const Tensor d = at::arange(40, at::kDouble);
  const Tensor log = by_distance("kerple", rotary, 40), power = by_distance("kerple:kind=power", rotary, 40);
  EXPECT_LT(largest_difference(log[0], -1.5 * at::log(1 + 0.25 * d)), 1e-14);
  EXPECT_LT(largest_difference(log[1], -0.01 * at::log(1 + 5 * d)), 1e-14) << "r1 is kept at 0.01 or more";
  EXPECT_LT(largest_difference(power[0], -1.5 * at::pow(d, 0.25)), 1e-14);
  EXPECT_LT(largest_difference(power[1], -0.01 * d * d), 1e-13) << "r2 is kept at 2 or less";
  for (const char* setting : {"kerple", "kerple:kind=power"})
    for (const auto& value : make_position(setting, of_heads(12))->learned()) {
      EXPECT_EQ(value.initial.sizes(), std::vector<int64_t>{12});
      EXPECT_GT(value.initial.min().item<float>(), 0.01);
      EXPECT_LT(value.initial.max().item<float>(), 2);
    }
}

TEST(Sandwich, IsTheProductOfSinusoidalEmbeddings) {
  const int64_t T = 30, H = 4, width = 128;
  const Tensor theta = at::pow(1e4, at::arange(width / 2, at::kDouble) * (-2.0 / width));  // [64]
  const Tensor phi = at::arange(T, at::kDouble).unsqueeze(-1) * theta;                     // [T,64]
  const Tensor p = at::cat({phi.sin(), phi.cos()}, 1), product = at::matmul(p, p.t());     // [T,128] [T,T]
  const Tensor ours = make_position("sandwich", of_heads(H))->bias(at::arange(T, at::kLong), at::arange(T, at::kLong));  // [H,T,T]
  for (int64_t h = 0; h < H; ++h)
    EXPECT_LT(largest_difference(ours[h].tril(), (product * (H / (8.0 * static_cast<double>(h + 1)))).tril()), 1e-11) << h;
}

TEST(Fire, IsItsFormula) {
  Rotary rotary = of_heads(2);
  const auto learned = make_position("fire:threshold=20,hidden=3", rotary)->learned();
  ASSERT_EQ(learned.size(), 6U);
  std::map<std::string, Tensor> of;
  for (const auto& value : learned) of[value.name] = value.initial.to(at::kDouble);
  const Tensor bias =
      make_position("fire:threshold=20,hidden=3", rotary)->bias(at::arange(50, at::kLong), at::arange(50, at::kLong));
  const double c = of["fire_c"].item<double>();
  for (const auto& [i, j] : {std::pair<int64_t, int64_t>{0, 0}, {5, 1}, {20, 0}, {49, 0}, {49, 48}})
    for (int64_t h = 0; h < 2; ++h) {
      const double share = std::log(c * double(i - j) + 1) / (std::log(c * double(std::max<int64_t>(20, i)) + 1) + 1e-6);
      double wanted = of["fire_output_bias"][h].item<double>();
      for (int64_t f = 0; f < 3; ++f)
        wanted += of["fire_output_weight"][h][f].item<double>() *
                  std::max(0.0, of["fire_hidden_weight"][f].item<double>() * share + of["fire_hidden_bias"][f].item<double>());
      EXPECT_NEAR(bias[h][i][j].item<double>(), wanted, 1e-12) << i << " " << j;
    }
}

TEST(Xpos, FadesByItsZetas) {
  const Tensor gain = make_position("xpos", {64, 1e4, 1024})->gain(at::tensor({4530}, at::kLong), at::arange(4531, at::kLong))[0];
  EXPECT_EQ(gain[4530].min().item<double>(), 1);
  EXPECT_NEAR(gain[4530 - 512][0].item<double>(), 0.4 / 1.4, 1e-12) << "zeta_0 after scale_base tokens";
  EXPECT_NEAR(gain[4530 - 512][31].item<double>(), (62 + 0.4 * 64) / (1.4 * 64), 1e-12);
  EXPECT_NEAR(1 / gain[0][0].item<double>(), 65504, 700) << "where f16 would overflow if it were not centred";
}

TEST(LogN, CountsFromTheFirstTokenWhereItIsTrained) {
  const Tensor i = at::arange(2000, at::kLong);
  const Tensor wanted = at::log(at::arange(1, 2001, at::kDouble)) / std::log(512.0);
  EXPECT_LT(largest_difference(make_position("nope:logn=trained", of_heads(1))->scale(i, 2000), wanted), 1e-15);
  EXPECT_LT(largest_difference(make_position("alibi:logn=clipped", of_heads(1))->scale(i, 2000), wanted.clamp_min(1)), 1e-15);
  EXPECT_EQ(make_position("rope:logn=trained", of_heads(1))->scale(i, 2000)[0].item<double>(), 0) << "one key needs no contrast";
}

TEST(Hybrids, WindowsAreThoseOfTheRule) {
  for (const auto& [layers, trained, wanted] : std::vector<std::tuple<int64_t, int64_t, const char*>>{{24, 512, "17"},
                                                                                                      {24, 1024, "34"},
                                                                                                      {24, 2048, "67"},
                                                                                                      {24, 4096, "134"},
                                                                                                      {12, 512, "35"},
                                                                                                      {12, 1024, "70"},
                                                                                                      {12, 2048, "140"},
                                                                                                      {12, 4096, "280"}})
    EXPECT_EQ(parse_setting(make_attention("hwfa", {64, 1e4, trained, "", 1, layers})->setting).values.at("window"), wanted);
}

TEST(Hybrids, AttentionAndPositionAgreeLayerByLayer) {
  const Rotary rotary{64, 1e4, 512, "", 1, 24};
  const auto check = [&](const std::string& name, const std::set<int64_t>& full) {
    const auto attention = make_attention(name, rotary);
    const auto position = make_position(name, rotary);
    EXPECT_EQ(refusal(*attention, *position), "");
    for (int64_t layer = 0; layer < 24; ++layer) {
      const bool is_full = full.contains(layer);
      EXPECT_EQ(attention->at(layer).bound().has_value(), !is_full) << name << " layer " << layer;
      EXPECT_EQ(position->at(layer).setting == "rope", !is_full) << name << " layer " << layer;
    }
  };
  check("hwfa", {23});
  check("hwfa2", {8, 16});
  check("hwfa2:full=1", {12});
  const auto last = make_position("hwfa", rotary);
  EXPECT_EQ(last->at(23).theta(1).numel(), 0) << "not rotated";
  EXPECT_NEAR(last->at(23).scale(at::tensor({1023}, at::kLong), 1024).item<double>(), 10.0 / 9, 1e-14) << "log n";
  EXPECT_EQ(last->at(0).scale(at::tensor({1023}, at::kLong), 1024).item<double>(), 1);
  const Tensor i = at::tensor({400}, at::kLong), j = at::tensor({0}, at::kLong);
  EXPECT_EQ(make_position("hwfa2", rotary)->at(8).distance(i, j).item<double>(), 256);
  EXPECT_EQ(make_position("hwfa2:window=512", rotary)->at(8).distance(i, j).item<double>(), 400) << "as it is trained";
  const auto scaled = make_position("hwfa2:logn=trained", rotary);
  EXPECT_NE(scaled->at(8).scale(i, 401).item<double>(), 1);
  EXPECT_EQ(scaled->at(7).scale(i, 401).item<double>(), 1) << "windows are not scaled";
  for (const auto& [attention, position] :
       {std::pair{"hwfa", "rope"}, {"full", "hwfa"}, {"hwfa", "hwfa2"}, {"hwfa2:full=1", "hwfa2"}})
    EXPECT_NE(refusal(*make_attention(attention, rotary), *make_position(position, rotary)), "") << attention << " " << position;
}

TEST(TrainedIn, NoOtherMethodGoesOverIt) {
  for (const char* trained : {"alibi", "t5", "nope", "xpos", "hwfa", "kerple:kind=power"}) {
    const Rotary rotary{64, 1e4, 512, trained, 4, 8};
    for (const char* other : {"yarn:factor=4", "rerope", "rope", "fire"}) {
      try {
        make_position(other, rotary);
        ADD_FAILURE() << other << " over " << trained;
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("was trained with"), std::string::npos) << error.what();
      }
    }
    EXPECT_NO_THROW(make_position(trained, rotary));
  }
  EXPECT_NO_THROW(make_position("t5:logn=clipped", {64, 1e4, 512, "t5", 4}));
}

TEST(TrainedIn, LearnedValuesOfAnotherShapeAreRefused) {
  Rotary rotary = of_heads(4);
  rotary.values["t5_table"] = at::zeros({3, 32});
  const auto method = make_position("t5", rotary);
  EXPECT_THROW(method->bias(at::zeros({1}, at::kLong), at::zeros({1}, at::kLong)), Error);
}

}  // namespace
}  // namespace longview
