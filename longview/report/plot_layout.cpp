// Where everything in a plot goes, in pixels.
#include "longview/report/plot_layout.h"

#include <algorithm>
#include <cmath>

#include "longview/base/text_format.h"
#include "longview/report/label.h"
#include "longview/report/scale.h"

namespace longview {
namespace {

constexpr double kBold = kText * 1.06;  // a bold text is that much wider
constexpr double kRoomy = 560;          // pixels of a drawing with room for the notes
constexpr double kLeastHeight = 120;

// The left end of a text kept between the drawing's edges, as near to x as that allows.
double kept_inside(double x, double pixels, double width) { return std::max(2.0, std::min(x, width - 2 - pixels)); }

void arrange_ends(const Plot& plot, Layout& layout) {
  const bool roomy = layout.size.width >= kRoomy;
  const double most = layout.size.width * 0.38 - kLeader;
  double widest = 0;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    layout.traces.push_back(trace(series, layout.frame));
    if (!layout.traces.back().any) continue;
    EndLabel end{i, series.name, value_text(layout.traces.back().last, plot.y_decimals), roomy ? series.note : "", 0};
    if (end.pixels() > most) end.note.clear();
    for (int64_t length = text_width(end.name) - 1; length > 3 && end.pixels() > most; --length)
      end.name = cut_to_width(series.name, length, "…");
    widest = std::max(widest, end.pixels());
    layout.ends.push_back(end);
  }
  layout.frame.right = layout.size.width - (layout.ends.empty() ? 12 : kLeader + widest + 4);
}

void arrange_marks(const Plot& plot, Layout& layout) {
  const Frame& frame = layout.frame;
  std::vector<Extent> extents;
  for (const auto& mark : plot.marks) {
    if (!std::isfinite(mark.x)) continue;
    const bool before = mark.x<frame.x.low, after = mark.x> frame.x.high;
    const std::string text = before ? "← " + mark.label : after ? mark.label + " →" : mark.label;
    const double x = frame.px(mark.x), pixels = text_pixels(text, kBold);
    const double text_x = kept_inside(after ? frame.right - pixels : x + 5, pixels, layout.size.width);
    layout.marks.push_back({x, text_x, text, !before && !after, mark.shade_after, 0});
    extents.push_back({std::min(x, text_x), text_x + pixels});
  }
  const std::vector<int> rows = rows_without_overlap(extents, 10);
  for (size_t i = 0; i < rows.size(); ++i) layout.marks[i].row = rows[i];
}

// One label a series, where it first leaves: it names the highest value of all its clips.
void arrange_clips(const Plot& plot, Layout& layout) {
  std::vector<Extent> extents;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const Trace line = trace(plot.series[i], layout.frame);
    if (line.clips.empty()) continue;
    Clip whole = line.clips.front();
    for (const auto& clip : line.clips) {
      whole.several |= clip.several || clip.value != whole.value;
      whole.value = std::max(whole.value, clip.value);
    }
    const std::string value = value_text(whole.value, plot.y_decimals);
    const std::string text = cut_to_width(plot.series[i].name, 24, "…") + (whole.several ? " up to " : " ") + value;
    const double pixels = text_pixels("▲ " + text, kBold);
    const double x = kept_inside(whole.from - 4, pixels, layout.size.width);
    layout.clips.push_back({i, x, text, 0});
    extents.push_back({x, x + pixels});
  }
  const std::vector<int> rows = rows_without_overlap(extents, 10);
  for (size_t i = 0; i < rows.size(); ++i) layout.clips[i].row = rows[i];
}

template <class Label>
int rows_of(const std::vector<Label>& labels) {
  int rows = 0;
  for (const auto& label : labels) rows = std::max(rows, label.row + 1);
  return rows;
}

// Among ends at the same height the larger value goes above: what left through the top is ordered by how far.
void place_ends(Layout& layout) {
  std::stable_sort(layout.ends.begin(), layout.ends.end(), [&](const EndLabel& a, const EndLabel& b) {
    return layout.traces[a.series].last > layout.traces[b.series].last;
  });
  std::vector<double> wanted;
  for (const auto& end : layout.ends) wanted.push_back(layout.traces[end.series].end_y);
  const std::vector<double> placed = spread(wanted, kRow, layout.frame.top, layout.frame.bottom);
  for (size_t i = 0; i < placed.size(); ++i) layout.ends[i].y = placed[i];
}

// As many ticks as fit beside one another.
Ticks x_ticks(const Frame& frame) {
  Ticks ticks;
  for (int wanted = 8; wanted >= 1; --wanted) {
    ticks.at = frame.log_x ? log_ticks(frame.x, wanted) : round_ticks(frame.x, wanted);
    ticks.texts = tick_texts(ticks.at);
    double edge = -1e9;
    bool fits = true;
    for (size_t i = 0; i < ticks.at.size(); ++i) {
      const double half = text_pixels(ticks.texts[i], kText) / 2, x = frame.px(ticks.at[i]);
      fits &= x - half >= edge + 14;
      edge = x + half;
    }
    if (fits) break;
  }
  return ticks;
}

}  // namespace

double EndLabel::pixels() const {
  return text_pixels(name, kBold) + text_pixels(" " + value, kText) + (note.empty() ? 0 : text_pixels(" · " + note, kText));
}

Layout arranged(const Plot& plot, PlotSize size) {
  Layout layout;
  layout.size = size;
  Frame& frame = layout.frame;
  frame.x = x_range(plot);
  frame.y = y_range(plot.series);
  if (!std::isnan(plot.y_low)) frame.y.low = plot.y_low;
  if (!std::isnan(plot.y_high)) frame.y.high = plot.y_high;
  frame.log_x = plot.log_x;
  layout.y.at = round_ticks(frame.y, 5);
  layout.y.texts = tick_texts(layout.y.at);
  double widest = 0;
  for (const auto& text : layout.y.texts) widest = std::max(widest, text_pixels(text, kText));
  frame.left = widest + 12;
  frame.right = size.width;
  frame.bottom = size.height - (plot.x_label.empty() ? 26 : 44);
  layout.head = (plot.title.empty() ? 0 : 24) + (plot.y_label.empty() ? 4 : kRow);
  frame.top = layout.head;  // for the time being: horizontal places do not depend on it
  arrange_ends(plot, layout);
  arrange_marks(plot, layout);
  arrange_clips(plot, layout);
  frame.top = layout.head + rows_of(layout.marks) * kRow + 8;
  if (!layout.clips.empty()) frame.top += rows_of(layout.clips) * kRow + 8;
  const double least = std::max(kLeastHeight, static_cast<double>(layout.ends.size()) * kRow);
  const double missing = std::max(0.0, least - (frame.bottom - frame.top));
  frame.bottom += missing;
  layout.size.height += missing;
  for (size_t i = 0; i < plot.series.size(); ++i) layout.traces[i] = trace(plot.series[i], frame);
  place_ends(layout);
  layout.x = x_ticks(frame);
  return layout;
}

}  // namespace longview
