// The SVG of a plot: well-formed whatever the data, no label over another, what is cut says so.
#include "longview/report/plot.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include "longview/report/label.h"
#include "longview/report/plot_layout.h"
#include "tests/report/xml.h"

namespace longview {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNone = std::numeric_limits<double>::quiet_NaN();
const std::vector<PlotSize> kSizes = {{880, 430}, {370, 380}};

struct Box {
  double left, top, right, bottom;
  std::string text;
};

// The labels as boxes, from the drawing itself.
std::vector<Box> labels(const xml::Element& root) {
  std::vector<Box> out;
  for (const char* css_class : {"lv-end", "lv-clip", "lv-marked"})
    for (const auto* text : root.all("text", css_class)) {
      const double x = text->number("x"), y = text->number("y");
      out.push_back({x, y - 9, x + text_pixels(text->text, 12) * 0.95, y + 3, text->text});
    }
  return out;
}

void expect_labels_apart(const std::string& drawn) {
  const auto boxes = labels(xml::parse(drawn));
  for (size_t i = 0; i < boxes.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      const Box &a = boxes[i], &b = boxes[j];
      const bool apart = a.left >= b.right || b.left >= a.right || a.top >= b.bottom || b.top >= a.bottom;
      EXPECT_TRUE(apart) << a.text << " covers " << b.text;
    }
}

Series steps(std::string name, std::vector<double> values) {
  Series out{std::move(name), {}, "", {}};
  for (size_t i = 0; i < values.size(); ++i) out.points.push_back({i * 4096.0, values[i], (i + 1) * 4096.0});
  return out;
}

Plot essay() {
  Plot plot{"Loss by position", "position (tokens)", "loss (nats a token)", {}, {{8192, "trained length 8,192", true}}, false, 2};
  plot.series = {steps("plain", {3.05, 2.98, 4.00, 6.55}), steps("yarn4", {3.17, 3.08, 3.69, 3.56}),
                 steps("dynamic", {3.05, 2.98, 3.54, 3.45}), steps("streaming", {3.05, 2.99, 3.55, 3.40}),
                 steps("window", {3.05, 3.47, 4.01, 3.90})};
  plot.series[0].note = "collapses";
  return plot;
}

TEST(Plot, NamesEveryLineAtItsEnd) {
  const auto root = xml::parse(svg(essay()));
  const auto ends = root.all("text", "lv-end");
  ASSERT_EQ(ends.size(), 5u);
  // From the top: the one that left, then by value.
  EXPECT_EQ(ends[0]->text, "plain 6.55 · collapses");
  EXPECT_EQ(ends[1]->text, "window 3.90");
  EXPECT_EQ(ends[4]->text, "streaming 3.40");
  for (size_t i = 1; i < ends.size(); ++i) EXPECT_LT(ends[i - 1]->number("y"), ends[i]->number("y"));
  EXPECT_EQ(root.all("text", "lv-marked").at(0)->text, "trained length 8,192");
  EXPECT_EQ(root.all("rect", "lv-past").size(), 1u);
}

TEST(Plot, CutsTheOneThatCollapsesAndSaysItsValue) {
  const auto root = xml::parse(svg(essay()));
  EXPECT_EQ(root.all("path", "lv-arrow").size(), 1u);
  ASSERT_EQ(root.all("text", "lv-clip").size(), 1u);
  EXPECT_EQ(root.all("text", "lv-clip")[0]->text, "plain 6.55");
  const Layout layout = arranged(essay(), {});
  EXPECT_LT(layout.frame.y.high, 5);
  EXPECT_EQ(layout.traces[0].clips.size(), 1u);
  EXPECT_NEAR(layout.traces[0].clips[0].from, layout.frame.px(12288), 1e-6);
  EXPECT_NEAR(layout.traces[0].clips[0].to, layout.frame.px(16384), 1e-6);
}

TEST(Plot, StepsRunFromTheStartToTheEndOfEachBucket) {
  Plot plot;
  plot.series = {steps("one", {1, 2})};
  const Layout layout = arranged(plot, {});
  const Frame& frame = layout.frame;
  const std::string wanted = fmt::format("M{:.1f} {:.1f}H{:.1f}M{:.1f} {:.1f}H{:.1f}", frame.left, frame.py(1), frame.px(4096),
                                         frame.px(4096), frame.py(2), frame.right);
  EXPECT_EQ(layout.traces[0].path, wanted);
  EXPECT_EQ(layout.traces[0].risers, fmt::format("M{:.1f} {:.1f}V{:.1f}", frame.px(4096), frame.py(1), frame.py(2)));
}

TEST(Plot, ALineIsCutWhereItCrossesTheTop) {
  Plot plot;
  plot.series = {{"a", {{0, 0}, {10, 1}}, "", {}}, {"b", {{0, 0}, {10, 1}}, "", {}}, {"up", {{0, 0}, {10, 100}, {20, 0}}, "", {}}};
  const Layout layout = arranged(plot, {});
  const auto& clips = layout.traces[2].clips;
  ASSERT_EQ(clips.size(), 1u);
  EXPECT_NEAR(clips[0].from, layout.frame.px(layout.frame.y.high / 10), 1e-6);
  EXPECT_NEAR(clips[0].to, layout.frame.px(20 - layout.frame.y.high / 10), 1e-6);
  EXPECT_EQ(clips[0].value, 100);
}

TEST(Plot, LabelsNeverCoverOneAnother) {
  for (const auto size : kSizes) {
    expect_labels_apart(svg(essay(), size));
    Plot crowd = essay();
    crowd.series.clear();
    for (int i = 0; i < 12; ++i)
      crowd.series.push_back(steps("method " + std::to_string(i), {3, 3, 3, i < 3 ? 30.0 + i : 3.1 + i * 1e-3}));
    crowd.marks = {{8192, "trained length 8,192", true},
                   {8300, "another mark", false},
                   {16384, "at the end", false},
                   {1e6, "far away", false}};
    expect_labels_apart(svg(crowd, size));
    for (int i = 12; i < 60; ++i) crowd.series.push_back(steps("method " + std::to_string(i), {3, 3, 3, 3}));
    expect_labels_apart(svg(crowd, size));
  }
}

TEST(Plot, EverythingStaysInsideTheDrawing) {
  Plot plot = essay();
  plot.series[1].name = "a method whose name is far longer than any name of a method ought to be, and then some";
  for (const auto size : kSizes) {
    const auto root = xml::parse(svg(plot, size));
    for (const auto& box : labels(root)) {
      EXPECT_GE(box.left, 0) << box.text;
      EXPECT_LE(box.right, size.width) << box.text;
      EXPECT_GE(box.top, 0) << box.text;
    }
    const Layout layout = arranged(plot, size);
    EXPECT_GT(layout.frame.right - layout.frame.left, size.width * 0.4);
    EXPECT_GE(layout.frame.bottom - layout.frame.top, 120);
  }
}

TEST(Plot, TicksDoNotTouch) {
  for (const auto size : kSizes)
    for (const double far : {7.0, 16384.0, 1152440.0, 1e9}) {
      Plot plot;
      plot.series = {{"a", {{0, 1}, {far, 2}}, "", {}}};
      const Layout layout = arranged(plot, size);
      double edge = -1e9;
      for (size_t i = 0; i < layout.x.at.size(); ++i) {
        const double x = layout.frame.px(layout.x.at[i]), half = text_pixels(layout.x.texts[i], kText) / 2;
        EXPECT_GT(x - half, edge);
        edge = x + half;
      }
    }
}

TEST(Plot, AnyNameIsEscaped) {
  Plot plot = essay();
  plot.title = "a < b && \"c\" > 'd'";
  plot.series[0].name = "</text><script>alert(1)</script>\x01\xff\xc0\xaf";
  plot.marks[0].label = "<mark & \"label\">";
  const std::string drawn = svg(plot);
  EXPECT_EQ(drawn.find("<script"), std::string::npos);
  const auto root = xml::parse(drawn);
  EXPECT_EQ(root.attributes.at("aria-label"), plot.title);
  EXPECT_NE(root.text.find("<mark & \"label\">"), std::string::npos);
}

TEST(Plot, AnyDataIsDrawnAsXml) {
  const std::vector<std::vector<Point>> cases = {
      {},
      {{5, 5}},
      {{5, kNone}},
      {{kNone, 5}},
      {{0, kInfinity}},
      {{0, -kInfinity}, {1, 1}},
      {{0, 1}, {1, kNone}, {2, 3}},
      {{0, 1}, {1, kInfinity}, {2, 3}},
      {{0, 1, 10}, {10, kInfinity, 20}},
      {{0, 2}, {1, 2}, {2, 2}},
      {{3, 1}, {3, 2}, {3, 3}},
      {{0, 1e300}, {1, -1e300}, {1e300, 1}},
      {{0, 1e-300}, {1, 2e-300}},
      {{1e15, 1e15}, {1e15 + 1, 1e15 + 1}},
  };
  for (const bool log_x : {false, true})
    for (const auto size : kSizes)
      for (const auto& one : cases)
        for (const auto& other : cases) {
          Plot plot;
          plot.log_x = log_x;
          plot.series = {{"one", one, "", {}}, {"other", other, "", Series::Weight::strong}};
          plot.marks = {{1, "mark", true}};
          const std::string drawn = svg(plot, size);
          ASSERT_NO_THROW(xml::parse(drawn));
          ASSERT_EQ(drawn.find("nan"), std::string::npos) << drawn;
          ASSERT_EQ(drawn.find("inf"), std::string::npos) << drawn;
        }
  EXPECT_NE(svg(Plot{}).find("no data"), std::string::npos);
}

TEST(Plot, InfinityIsWrittenWhereItLeaves) {
  Plot plot = essay();
  plot.series[0] = steps("broken", {3, 3, 3.1, kInfinity});
  const auto root = xml::parse(svg(plot));
  ASSERT_EQ(root.all("text", "lv-clip").size(), 1u);
  EXPECT_EQ(root.all("text", "lv-clip")[0]->text, "broken ∞");
}

TEST(Plot, APointAloneIsADot) {
  Plot plot;
  plot.series = {{"one", {{5, 5}}, "", {}}};
  const auto root = xml::parse(svg(plot));
  EXPECT_EQ(root.all("circle").size(), 1u);
}

TEST(Plot, AMillionPointsStayShortAndKeepTheirPeaks) {
  Plot plot;
  plot.series = {{"many", {}, "", {}}};
  for (int i = 0; i < 1000000; ++i) plot.series[0].points.push_back({i * 1.0, i == 777777 ? 9.0 : (i % 7) * 0.1});
  const std::string drawn = svg(plot);
  EXPECT_LT(drawn.size(), 120000u);
  const Layout layout = arranged(plot, {});
  EXPECT_NE(layout.traces[0].path.find(fmt::format("{:.1f}", layout.frame.py(9))), std::string::npos);
}

TEST(Plot, HoverTextsSayEveryValueOfABucket) {
  const auto root = xml::parse(svg(essay()));
  const auto bands = root.all("rect", "lv-band");
  ASSERT_EQ(bands.size(), 4u);
  EXPECT_EQ(bands[3]->text, "12,288 – 16,384\n3.40  streaming\n3.45  dynamic\n3.56  yarn4\n3.90  window\n6.55  plain");
}

TEST(Plot, LogAxisSpacesPowersEvenly) {
  Plot plot;
  plot.log_x = true;
  plot.series = {{"a", {{1, 1}, {100, 2}, {10000, 3}}, "", {}}};
  const Layout layout = arranged(plot, {});
  EXPECT_NEAR(layout.frame.px(100) * 2, layout.frame.left + layout.frame.right, 1e-6);
}

TEST(Plot, TwelveLinesAreTwelveLooks) {
  Plot plot;
  for (int i = 0; i < 12; ++i) plot.series.push_back({std::to_string(i), {{0, i * 1.0}, {1, i * 1.0}}, "", {}});
  std::vector<std::string> looks;
  const auto root = xml::parse(svg(plot));
  for (const auto* line : root.all("path", "lv-line")) looks.push_back(line->attributes.at("class"));
  ASSERT_EQ(looks.size(), 12u);
  std::sort(looks.begin(), looks.end());
  EXPECT_EQ(std::unique(looks.begin(), looks.end()), looks.end());
}

}  // namespace
}  // namespace longview
