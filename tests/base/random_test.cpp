#include "longview/base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

namespace longview {
namespace {

TEST(RandomNumbers, AreTheSameEverywhere) {
  Random random(0);
  EXPECT_EQ(random.bits(), 0xE220A8397B1DCDAFULL);  // SplitMix64 from state 0 (its authors' splitmix64.c): our key of seed 0 is 0
  EXPECT_EQ(random.bits(), 0x6E789E6AA1B965F4ULL);
  EXPECT_EQ(random.bits(), 0x06C45D188009454FULL);
}

TEST(RandomNumbers, ForksDependOnTheStreamAndNotOnWhatWasDrawn) {
  Random one(7), two(7);
  two.bits();
  EXPECT_EQ(one.fork(3).bits(), two.fork(3).bits());
  std::set<uint64_t> seen;
  for (uint64_t stream = 0; stream < 1000; ++stream) {
    seen.insert(one.fork(stream).bits());
    seen.insert(Random(stream).bits());
    seen.insert(one.fork(stream).fork(stream).bits());
  }
  EXPECT_EQ(seen.size(), 3000u);
}

TEST(RandomNumbers, CoverTheirRangeEvenly) {
  Random random(1);
  constexpr int kDraws = 70000, kMost = 7;
  std::vector<int> count(kMost);
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) {
    ++count[static_cast<size_t>(random.between(3, 3 + kMost - 1) - 3)];
    const double u = random.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    sum += u;
  }
  double chi = 0;  // 6 degrees of freedom: above 35 once in 200,000
  for (const int n : count) chi += (n - 1e4) * (n - 1e4) / 1e4;
  EXPECT_LT(chi, 35);
  EXPECT_NEAR(sum / kDraws, 0.5, 5 / std::sqrt(12.0 * kDraws));
}

TEST(RandomNumbers, ShuffleGivesEveryOrder) {
  std::set<std::vector<int>> seen;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    std::vector<int> values(4);
    std::iota(values.begin(), values.end(), 0);
    Random(seed).shuffle(values);
    seen.insert(values);
  }
  EXPECT_EQ(seen.size(), 24u);
}

}  // namespace
}  // namespace longview
