// What every position method does.
#include <set>

#include "longview/attention/scored.h"
#include "tests/kernels/error.h"
#include "tests/laws/cases.h"

namespace longview {
namespace {

using namespace testing;  // NOLINT: the cases

class PositionLaw : public ::testing::TestWithParam<std::string> {
 protected:
  static std::shared_ptr<const Position> position(int64_t D = 32) { return position_of(GetParam(), {D, 10000, kTrained, "", 6}); }
};

const std::vector<int64_t> kLengths{1, 2, 49, 50, 51, 200, 100000, 10000000};

TEST_P(PositionLaw, FrequenciesArePositiveAndFallFromOne) {
  for (const int64_t D : {8, 20, 64, 128})
    for (const int64_t length : kLengths) {
      const Tensor theta = position(D)->theta(length);
      if (theta.numel() == 0) continue;  // nothing turns
      ASSERT_EQ(theta.sizes(), std::vector<int64_t>{D / 2});
      ASSERT_EQ(theta.scalar_type(), at::kDouble);
      EXPECT_TRUE(theta.isfinite().all().item<bool>());
      EXPECT_GT(theta.min().item<double>(), 0);
      const double most = GetParam().rfind("resonance", 0) == 0 ? 2 * M_PI / 6 : 1;  // a wavelength of 2 pi becomes 6
      EXPECT_LE(theta.max().item<double>(), most) << "no method turns faster than a radian a step";
      EXPECT_LT(at::diff(theta).max().item<double>(), 0) << "slower from pair to pair";
    }
}

TEST_P(PositionLaw, TheSettingWrittenDownMakesTheSameMethod) {
  const auto one = position(), again = make_position(one->setting, {32, 10000, kTrained});
  EXPECT_EQ(one->setting, again->setting);
  const Tensor i = at::arange(60, at::kLong);
  for (const int64_t length : kLengths) {
    EXPECT_TRUE(same_bits(one->theta(length), again->theta(length)));
    EXPECT_TRUE(same_bits(one->scale(i, length), again->scale(i, length)));
  }
}

TEST_P(PositionLaw, PiecesCoverThePastOnceAndKeepTheDistance) {
  const auto method = position();
  const auto pieces = method->fused();
  if (!pieces) return;  // the definition alone: nothing to agree with
  const int64_t T = 200;
  const Tensor all = at::arange(T, at::kLong), bias = method->bias(all, all), gain = method->gain(all, all);  // [T] [H,T,T] [T,T,M]
  for (const auto& piece : *pieces) {
    EXPECT_EQ(bool(piece.bias), bias.defined());
    EXPECT_EQ(piece.decay.defined(), gain.defined());
    if (piece.bias) {
      EXPECT_EQ(pieces->size(), 1U);
      const Tensor own = piece.bias({all.data_ptr<int64_t>(), all.data_ptr<int64_t>() + T}, 0, T, at::TensorOptions(at::kDouble));
      EXPECT_LT(largest_difference(own.tril(), bias.tril()), 1e-12);
      const Tensor part = piece.bias({150, 20, 151}, 7, 90, at::TensorOptions(at::kDouble));  // [H,3,90]
      const Tensor rows = bias.index_select(1, at::tensor({150, 20, 151}, at::kLong)).narrow(2, 7, 90);
      EXPECT_LT(largest_difference(part.select(1, 0), rows.select(1, 0)), 1e-12);
      EXPECT_LT(largest_difference(part.select(1, 1).narrow(1, 0, 14), rows.select(1, 1).narrow(1, 0, 14)), 1e-12);
    }
    if (piece.decay.defined()) {
      const Tensor fading = (method->distance(all, all).clamp_min(0).unsqueeze(-1) * piece.decay).exp();  // [T,T,M]
      EXPECT_LT(largest_difference(fading, gain), 1e-12);
    }
  }
  const Tensor distance = method->distance(at::arange(T, at::kLong), at::arange(T, at::kLong));  // [T,T]
  for (int64_t i = 0; i < T; ++i) {
    std::vector<int> covered(static_cast<size_t>(i) + 1, 0);
    for (const auto& piece : *pieces) {
      const auto [from, to] = piece.range(i);
      for (int64_t j = std::max<int64_t>(from, 0); j < std::min(to, i + 1); ++j) {
        covered[static_cast<size_t>(j)] += 1;
        ASSERT_NEAR(piece.query(i) - piece.key(j), distance[i][j].item<double>(), 1e-12) << i << " " << j;
      }
      ASSERT_LE(to, i + 1) << "the future";
    }
    ASSERT_EQ(covered, std::vector<int>(static_cast<size_t>(i) + 1, 1)) << "query " << i;
  }
}

TEST_P(PositionLaw, RotationsAreCosAndSinOfTheAngleRoundedOnce) {
  const auto method = position();
  for (const int64_t length : {30, 300}) {
    const int64_t first = 1000000, count = 5;
    const auto rotation = method->rotation(length, {}, first, count);
    const Tensor angle = at::arange(first, first + count, at::kDouble).unsqueeze(-1) * method->theta(length);  // [5,D/2]
    EXPECT_TRUE(same_bits(rotation.cos, angle.cos().to(at::kFloat)));
    EXPECT_TRUE(same_bits(rotation.sin, angle.sin().to(at::kFloat)));
  }
}

TEST_P(PositionLaw, RotationsDoNotDependOnWhatWasAskedBefore) {
  const auto asked = position();
  for (const int64_t length : {1, 60, 500, 60}) {
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 3}, {2, 90}, {0, 1}, {91, 200}, {7, 0}}) {
      const auto one = asked->rotation(length, {}, first, count), fresh = position()->rotation(length, {}, first, count);
      EXPECT_TRUE(same_bits(one.cos, fresh.cos)) << length << " " << first;
      EXPECT_TRUE(same_bits(one.sin, fresh.sin)) << length << " " << first;
      const Place there([](int64_t p) { return static_cast<double>(p); });
      const auto mapped = asked->rotation(length, there, first, count);
      EXPECT_TRUE(same_bits(one.cos, mapped.cos));
    }
  }
}

/// 100 queries and keys from positions `shift` on, each query seeing the keys up to its own.
View shifted(const Qkv& x, int64_t shift) {
  View view{.k = x.k, .v = x.v, .from = {}, .to = {}, .query = {}, .key = shift, .first = shift};
  for (int64_t i = 0; i < x.q.size(2); ++i) view.from.push_back(0), view.to.push_back(i + 1), view.query.push_back(shift + i);
  return view;
}

// Every method scores by i - j (at one length), except those that say why not (anchor) and those that scale by position (log n).
TEST_P(PositionLaw, OnlyDistancesMatter) {
  const Qkv x = random_qkv({1, 6, 2, 100, 32}, 2), exact = in_double(x);
  const auto method = position();
  if (!is_shiftable(*method)) {
    const std::set<std::string> known{"auto", "dual_chunk", "self_extend", "rope", "rerope", "fire", "hwfa", "nope", "alibi"};
    EXPECT_TRUE(known.contains(parse_setting(GetParam()).name)) << "should this depend on where the text begins?";
    return;
  }
  const Tensor there = scored_by_definition(exact.q, {shifted(exact, 0)}, *method, 200);
  const Tensor plain = scored_by_definition(x.q, {shifted(x, 0)}, *method, 200);
  for (const int64_t shift : {0, 1, 64, 99999}) {
    EXPECT_LT(largest_difference(scored_by_definition(exact.q, {shifted(exact, shift)}, *method, 200), there), 1e-12) << shift;
    EXPECT_TRUE(as_exact_as_plain(scored(x.q, {shifted(x, shift)}, *method, 200), plain, there)) << "by " << shift;
  }
}

INSTANTIATE_TEST_SUITE_P(Every, PositionLaw, ::testing::ValuesIn(position_settings()),
                         [](const auto& info) { return name_of(info.param); });

/// Same frequencies and scale to the bit, and so the same results.
void expect_rope(const std::string& setting, const std::vector<int64_t>& lengths) {
  for (const auto& rotary : {Rotary{64, 10000, 2048}, Rotary{128, 500000, 8192}, Rotary{20, 100000, 50}}) {
    const auto method = make_position(setting, rotary), rope = make_position("rope", rotary);
    const Tensor i = at::arange(100, at::kLong);
    for (const int64_t length : lengths) {
      EXPECT_TRUE(same_bits(method->theta(length), rope->theta(length))) << setting << ", heads of " << rotary.head_width;
      EXPECT_TRUE(same_bits(method->scale(i, length), rope->scale(i, length))) << setting;
    }
  }
}

TEST(PositionLimit, AFactorOfOneIsRopeToTheBit) {
  for (const char* name : {"linear", "ntk", "ntk_by_parts", "ntk_mixed", "yarn", "llama3", "longrope"})
    expect_rope(fmt::format("{}:factor=1", name), kLengths);
  expect_rope("yarn:factor=1,ramp=paper", kLengths);
  expect_rope("llama3:factor=1,original=50", kLengths);
}

TEST(PositionLimit, DynamicWithinTheOriginalLengthIsRopeToTheBit) {
  expect_rope("dynamic:factor=4,original=2048", {1, 50, 2047, 2048});
  const Rotary rotary{64, 10000, 2048};
  EXPECT_FALSE(at::equal(make_position("dynamic:factor=1", rotary)->theta(2049), make_position("rope", rotary)->theta(2049)));
  EXPECT_TRUE(same_bits(make_position("dynamic", rotary)->theta(2048), make_position("rope", rotary)->theta(2048)))
      << "without `original` it is the trained length";
}

TEST(PositionLimit, DynamicYarnAndLongRopeWithinTheOriginalLength) {
  expect_rope("dynamic_yarn:original=2048", {1, 50, 2047, 2048});
  expect_rope("longrope:original=2048,attention_factor=1", {1, 50, 2047, 2048});
  const Rotary rotary{64, 10000, 2048};
  for (const char* setting : {"dynamic_yarn", "longrope:attention_factor=1"})
    EXPECT_FALSE(at::equal(make_position(setting, rotary)->theta(2049), make_position("rope", rotary)->theta(2049))) << setting;
  EXPECT_TRUE(at::equal(make_position("dynamic_yarn", rotary)->theta(8192), make_position("yarn:factor=4", rotary)->theta(8192)));
}

TEST(PositionLimit, ABaseOfItsOwnIsAbf) {
  const Rotary rotary{64, 10000, 2048};
  EXPECT_TRUE(same_bits(make_position("abf:base=10000", rotary)->theta(1), make_position("rope", rotary)->theta(1)));
}

TEST(PositionLimit, DistancesKeepTheCheckpointsOwnFrequencies) {
  const Rotary rotary{128, 500000, 8192, "llama3:factor=8,original=8192"};
  const auto own = make_position(rotary.scaling, rotary);
  for (const char* setting : {"rerope", "leaky_rerope", "self_extend", "dual_chunk", "auto"})
    EXPECT_TRUE(same_bits(make_position(setting, rotary)->theta(1), own->theta(1))) << setting;
}

TEST(PositionLimit, DynamicOfFactorOneIsNtkOfTheLength) {
  const Rotary rotary{64, 10000, 2048};
  const Tensor dynamic = make_position("dynamic:factor=1", rotary)->theta(8192),
               ntk = make_position("ntk:factor=4", rotary)->theta(1);
  EXPECT_LT((dynamic / ntk - 1).abs().max().item<double>(), 1e-15);
}

TEST(PositionLimit, TheSlowestPairOfNtkIsStretchedByTheFactor) {
  for (const int64_t D : {8, 64, 128}) {
    const Rotary rotary{D, 10000, 2048};
    const Tensor ratio = make_position("rope", rotary)->theta(1) / make_position("ntk:factor=8", rotary)->theta(1);
    EXPECT_DOUBLE_EQ(ratio[-1].item<double>(), 8);
    EXPECT_DOUBLE_EQ(ratio[0].item<double>(), 1);
  }
}

TEST(PositionLimit, YarnAndLlama3KeepTheFastPairsAndStretchTheSlow) {
  const Rotary rotary{128, 10000, 4096};
  for (const char* setting : {"yarn:factor=8", "yarn:factor=8,ramp=paper", "llama3:factor=8,original=4096"}) {
    const Tensor ratio = make_position("rope", rotary)->theta(1) / make_position(setting, rotary)->theta(1);  // [64]
    EXPECT_EQ(ratio[0].item<double>(), 1) << setting;
    EXPECT_DOUBLE_EQ(ratio[-1].item<double>(), 8) << setting;
    EXPECT_GE(at::diff(ratio).min().item<double>(), -1e-12) << setting;
  }
}

}  // namespace
}  // namespace longview
