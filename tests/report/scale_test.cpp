// Ranges, round ticks and label placement.
#include "longview/report/scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "longview/report/label.h"

namespace longview {
namespace {

using Texts = std::vector<std::string>;

Texts ticks(double low, double high, int wanted) { return tick_texts(round_ticks({low, high}, wanted)); }

Series flat(double y, double from = 0, double to = 100) { return {"flat", {{from, y}, {to, y}}, "", {}}; }

TEST(Ticks, AreRoundWithSeparators) {
  EXPECT_EQ(ticks(0, 16384, 8), (Texts{"0", "2,000", "4,000", "6,000", "8,000", "10,000", "12,000", "14,000", "16,000"}));
  EXPECT_EQ(ticks(0, 1152440, 5), (Texts{"0", "200,000", "400,000", "600,000", "800,000", "1,000,000"}));
  EXPECT_EQ(ticks(2.79, 4.05, 3), (Texts{"3.0", "3.5", "4.0"}));
  EXPECT_EQ(ticks(-1, 1, 4), (Texts{"-1.0", "-0.5", "0.0", "0.5", "1.0"}));
}

TEST(Ticks, AnyRangeGivesAFewInside) {
  for (const double low : {-1e20, -3.0, 0.0, 1e-9, 7.0, 1e15})
    for (const double span : {1e-9, 0.37, 1.0, 999.0, 1e12})
      for (const int wanted : {1, 3, 8}) {
        const Range range{low, low + span};
        if (range.high <= range.low) continue;
        const auto found = round_ticks(range, wanted);
        ASSERT_FALSE(found.empty());
        EXPECT_LE(found.size(), 2u * static_cast<size_t>(wanted) + 2);
        for (size_t i = 0; i < found.size(); ++i) {
          EXPECT_GE(found[i], range.low - span * 1e-6);
          EXPECT_LE(found[i], range.high + span * 1e-6);
          if (i > 0) {
            EXPECT_GT(found[i], found[i - 1]);
          }
        }
        EXPECT_EQ(tick_texts(found).size(), found.size());
      }
}

TEST(Ticks, OnALogAxis) {
  EXPECT_EQ(tick_texts(log_ticks({1, 1e6}, 8)), (Texts{"1", "10", "100", "1,000", "10,000", "100,000", "1,000,000"}));
  EXPECT_EQ(tick_texts(log_ticks({1000, 8000}, 8)), (Texts{"1,000", "2,000", "5,000"}));
  EXPECT_FALSE(log_ticks({3, 4}, 8).empty());
}

TEST(YRange, OneThatCollapsesDoesNotSqueezeTheOthers) {
  const Range range = y_range({flat(3.0), flat(3.4), flat(3.6), {"collapse", {{0, 3.0}, {50, 4.0}, {100, 50}}, "", {}}});
  EXPECT_LT(range.low, 3.0);
  EXPECT_GT(range.high, 4.0);  // what still fits stays
  EXPECT_LT(range.high, 5.0);
}

TEST(YRange, WhatFitsIsNotCut) {
  const Range range = y_range({flat(3.0), flat(3.4), flat(3.9)});
  EXPECT_GT(range.high, 3.9);
  const Range alone = y_range({{"alone", {{0, 3}, {1, 50}}, "", {}}});
  EXPECT_GT(alone.high, 50);
}

TEST(YRange, NeverEmptyNorInfinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const auto& series : std::vector<std::vector<Series>>{{},
                                                             {{"none", {}, "", {}}},
                                                             {flat(3)},
                                                             {flat(0)},
                                                             {flat(std::nan(""))},
                                                             {flat(infinity)},
                                                             {flat(3), flat(infinity)},
                                                             {flat(1e300)}}) {
    const Range range = y_range(series);
    EXPECT_TRUE(std::isfinite(range.low) && std::isfinite(range.high));
    EXPECT_GT(range.span(), 0);
  }
}

TEST(XRange, TakesInMarksThatAreNear) {
  Plot plot;
  plot.series = {flat(1, 0, 6000)};
  plot.marks = {{8192, "near", false}};
  EXPECT_EQ(x_range(plot).high, 8192);
  plot.marks = {{131072, "far", false}};
  EXPECT_EQ(x_range(plot).high, 6000);
}

TEST(XRange, OnALogAxisOnlyPositiveCounts) {
  Plot plot;
  plot.log_x = true;
  plot.series = {{"runs", {{0, 1, 1024}, {1024, 2, 2048}}, "", {}}};
  EXPECT_EQ(x_range(plot).low, 1024);
  plot.series = {{"none", {{0, 1}, {-5, 1}}, "", {}}};
  EXPECT_GT(x_range(plot).low, 0);
}

TEST(Values, AsText) {
  EXPECT_EQ(value_text(6.55, 2), "6.55");
  EXPECT_EQ(value_text(std::numeric_limits<double>::infinity(), 2), "∞");
  EXPECT_EQ(place_text(8192), "8,192");
  EXPECT_EQ(place_text(0.25), "0.25");
}

TEST(Spread, KeepsOrderGapAndBounds) {
  for (const std::vector<double>& wanted :
       {std::vector<double>{}, {50}, {50, 50, 50}, {0, 1, 2, 99, 100}, {100, 50, 0}, {-20, 500}, {30, 31, 60, 61, 62}}) {
    const auto placed = spread(wanted, 10, 0, 100);
    ASSERT_EQ(placed.size(), wanted.size());
    for (size_t i = 0; i < placed.size(); ++i) {
      EXPECT_GE(placed[i], 0);
      EXPECT_LE(placed[i], 100);
      for (size_t j = 0; j < i; ++j) {
        EXPECT_GE(std::fabs(placed[i] - placed[j]), 10 - 1e-9);
        if (wanted[i] > wanted[j]) {
          EXPECT_GT(placed[i], placed[j]);
        }
      }
    }
  }
}

TEST(Spread, MovesAsLittleAsPossible) {
  EXPECT_EQ(spread({20, 50, 80}, 10, 0, 100), (std::vector<double>{20, 50, 80}));
  EXPECT_EQ(spread({50, 50}, 10, 0, 100), (std::vector<double>{45, 55}));
}

TEST(Spread, ShrinksTheGapWhenTheyCannotFit) {
  const auto placed = spread(std::vector<double>(21, 50), 10, 0, 100);
  for (size_t i = 1; i < placed.size(); ++i) EXPECT_NEAR(placed[i] - placed[i - 1], 5, 1e-9);
}

TEST(Rows, NoTwoInARowOverlap) {
  const std::vector<Extent> extents = {{0, 50}, {40, 90}, {60, 100}, {45, 55}, {200, 220}};
  const auto rows = rows_without_overlap(extents, 5);
  for (size_t i = 0; i < extents.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (rows[i] == rows[j]) {
        EXPECT_TRUE(extents[i].from >= extents[j].to + 5 || extents[j].from >= extents[i].to + 5);
      }
  EXPECT_EQ(rows[0], 0);
  EXPECT_EQ(rows[4], 0);
}

}  // namespace
}  // namespace longview
