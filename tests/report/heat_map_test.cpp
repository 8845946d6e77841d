// Grids of shares: every cell says its number, and what was not measured says so.
#include "longview/report/heat_map.h"

#include <gtest/gtest.h>

#include "tests/report/xml.h"

namespace longview {
namespace {

TEST(HeatMap, SaysEveryShare) {
  const HeatMap map{"Found <of> asked", "depth",
                    "tokens",           {"0 %", "50 %"},
                    {"4,096", "8,192"}, {{{1, "4/4", ""}, {0.25, "1/4", ", exact 1"}}, {{0, "0/4", ""}}}};
  const std::string text = svg(map);
  const auto root = xml::parse(text);
  std::vector<std::string> cells;
  for (const auto& name : {"lv-on", "lv-name"})
    for (const auto* one : root.all("text", name)) cells.push_back(one->text);
  EXPECT_EQ(cells, (std::vector<std::string>{"4/4", "1/4", "0/4", "–"}));
  EXPECT_EQ(root.all("rect").size(), 4U);
  EXPECT_NE(text.find("1/4, exact 1"), std::string::npos);
  EXPECT_NE(text.find("8,192 tokens, 50 % depth: not measured"), std::string::npos);
}

TEST(HeatMap, NothingIsAGridToo) { xml::parse(svg(HeatMap{})); }

}  // namespace
}  // namespace longview
