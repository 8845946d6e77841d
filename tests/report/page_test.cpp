// The HTML page: well-formed, self-contained, everything escaped, the best values bold.
#include "longview/report/page.h"

#include <gtest/gtest.h>

#include "longview/base/check.h"
#include "longview/report/escape.h"
#include "tests/report/xml.h"

namespace longview {
namespace {

Table table() {
  Table out;
  out.caption = "a caption";
  out.columns = {{"method", false, Best::none}, {"loss", true, Best::lowest}, {"tokens/s", true, Best::highest}};
  out.rows = {{"plain", Cell("6.55", 6.55), Cell("215", 215)},
              {"streaming", Cell("3.40", 3.40), Cell("1,287", 1287)},
              {"window", Cell("3.90", 3.90), Cell("282", 282)},
              {"none", Cell("–")}};
  return out;
}

std::vector<std::string> bold(const xml::Element& root) {
  std::vector<std::string> out;
  for (const auto* cell : root.all("td", "best")) out.push_back(cell->text);
  return out;
}

Page page_of(Block block) {
  Page page;
  page.title = "A page";
  page.lead = {"What happened.", "What it means."};
  page.sections = {{"A section", {std::move(block)}}};
  page.footer = "The end.";
  return page;
}

TEST(Escape, WhatXmlNeedsAndForbids) {
  EXPECT_EQ(escaped("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&#39;");
  EXPECT_EQ(escaped("tab\tline\n"), "tab\tline\n");
  EXPECT_EQ(escaped("é – ∞ 😀"), "é – ∞ 😀");
  EXPECT_EQ(escaped(std::string_view("\x00\x1b", 2)), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(escaped("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // overlong '/'
  EXPECT_EQ(escaped("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
  EXPECT_EQ(escaped("\xEF\xBF\xBE"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // U+FFFE
  EXPECT_EQ(escaped("cut \xE2\x94"), "cut \xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Page, IsWellFormedAndStandsAlone) {
  Page page = page_of(table());
  page.sections[0].blocks.push_back(Plot{"a plot", "x", "y", {{"line", {{0, 1}, {1, 2}}, "", {}}}, {}, false, 2});
  page.sections[0].blocks.push_back(Facts{{"model", "SmolLM2"}, {"commit", "e1dd4d5"}});
  page.sections[0].blocks.push_back(Paragraph("words"));
  page.sections[0].blocks.push_back(NamedList{{{"plain", "Every token."}}});
  const std::string text = html(page);
  const auto root = xml::parse(text);
  EXPECT_EQ(root.all("h1").at(0)->text, "A page");
  EXPECT_EQ(root.all("h2").at(0)->text, "A section");
  EXPECT_EQ(root.all("dt").size(), 2u);
  EXPECT_EQ(root.all("svg", "lv-plot").size(), 2u);  // wide and narrow
  EXPECT_EQ(root.all("footer").at(0)->text, "The end.");
  EXPECT_EQ(root.all("li").at(0)->text, "plain Every token.");
  for (const char* outside : {"<script", "src=", "href=", "url(", "@import"})
    EXPECT_EQ(text.find(outside), std::string::npos) << outside;
  for (const char* needed : {"viewport", "prefers-color-scheme", "@media print"})
    EXPECT_NE(text.find(needed), std::string::npos) << needed;
}

TEST(Page, EscapesEverything) {
  const std::string bad = "<script>alert('x')</script>&\x02\xff";
  Page page;
  page.title = bad, page.lead = {bad}, page.footer = bad;
  Table rows;
  rows.caption = bad, rows.columns = {{bad, false, Best::none}}, rows.rows = {{bad}};
  Plot plot{bad, bad, bad, {{bad, {{0, 1}}, bad, {}}}, {{0, bad, true}}, false, 2};
  page.sections = {{bad, {Paragraph(bad), rows, plot, Facts{{bad, bad}}, NamedList{{{bad, bad}}}}}};
  const std::string text = html(page);
  EXPECT_EQ(text.find("<script"), std::string::npos);
  EXPECT_NO_THROW(xml::parse(text));
}

TEST(Page, BestOfAColumnIsBold) {
  EXPECT_EQ(bold(xml::parse(html(page_of(table())))), (std::vector<std::string>{"3.40", "1,287"}));
}

TEST(Page, BestOfARowIsBold) {
  Table across = table();
  for (auto& column : across.columns) column.best = Best::none;
  across.best_in_row = Best::lowest;
  EXPECT_EQ(bold(xml::parse(html(page_of(across)))), (std::vector<std::string>{"6.55", "3.40", "3.90"}));
}

TEST(Page, NothingIsBoldWhereMostAreAsGood) {
  Table even = table();
  even.rows[0][1] = even.rows[2][1] = Cell("3.40", 3.40);
  EXPECT_EQ(bold(xml::parse(html(page_of(even)))), std::vector<std::string>{"1,287"});
  even.rows = {{"alone", Cell("1", 1), Cell("2", 2)}};
  EXPECT_TRUE(bold(xml::parse(html(page_of(even)))).empty());
}

TEST(Page, NumbersStandToTheRightAndShortRowsAreFilled) {
  const auto root = xml::parse(html(page_of(table())));
  EXPECT_EQ(root.all("th", "num").size(), 2u);
  EXPECT_EQ(root.all("td", "num").size(), 8u);
  EXPECT_EQ(root.all("td").size(), 12u);
}

TEST(Page, ALongRowIsAnError) {
  Table bad = table();
  bad.rows.push_back({"1", "2", "3", "4"});
  EXPECT_THROW(html(page_of(bad)), Error);
}

TEST(Page, EmptyPageIsAPage) { EXPECT_NO_THROW(xml::parse(html(Page{}))); }

}  // namespace
}  // namespace longview
