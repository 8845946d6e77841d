// Line plots as SVG text: margins first (ticks, line-end labels, marks, what is cut), then everything from back to front.
#include "longview/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "longview/base/text_format.h"
#include "longview/report/escape.h"
#include "longview/report/label.h"
#include "longview/report/scale.h"
#include "longview/report/style.h"
#include "longview/report/trace.h"

namespace longview {
namespace {

constexpr double kText = 12, kRow = 17, kLead = 26;  // font size, height of a line of text, room for a label's leader
constexpr size_t kMostBands = 400;                   // hover texts; beyond them only the lines have one

struct EndLabel {
  size_t series;
  std::string name, rest;  // bold, then soft
  double wanted = 0, y = 0;
};

struct ClipLabel {
  size_t series;
  double arrow, x;  // pixels: of the arrow, of the text's left end
  std::string text;
  int row = 0;
};

struct MarkLabel {
  double x, text_x;
  std::string text;
  bool inside, shade;
  int row = 0;
};

class Drawing {
 public:
  Drawing(const Plot& plot, PlotSize size) : plot_(plot), size_(size) {}

  std::string text() {
    arrange();
    head();
    shade();
    axes();
    bands();
    marks();
    for (size_t i = 0; i < traces_.size(); ++i) line(i);
    clips();
    end_labels();
    if (ends_.empty()) put((frame_.left + frame_.right) / 2, (frame_.top + frame_.bottom) / 2, "lv-soft", "no data", "middle");
    return out_ + "</svg>\n";
  }

 private:
  void arrange();
  void arrange_ends();
  void arrange_marks();
  void arrange_clips();
  void head();
  void shade();
  void axes();
  void bands();
  void marks();
  void line(size_t i);
  void clips();
  void end_labels();

  void put(double x, double y, std::string_view classes, std::string_view words, std::string_view anchor = "start") {
    out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n", x, y, classes, anchor,
                        escaped(words));
  }
  static std::string color(size_t series) { return fmt::format("{}", series % kColors); }
  // A text kept between the drawing's edges, its left end as near to x as that allows.
  double kept_inside(double x, double pixels) const { return std::max(2.0, std::min(x, size_.width - 2 - pixels)); }

  const Plot& plot_;
  PlotSize size_;
  Frame frame_;
  double title_bottom_ = 0;
  std::vector<double> y_ticks_;
  std::vector<std::string> y_texts_;
  std::vector<Trace> traces_;
  std::vector<EndLabel> ends_;
  std::vector<MarkLabel> marks_;
  std::vector<ClipLabel> clips_;
  std::string out_;
};

void Drawing::arrange() {
  frame_.x = x_range(plot_);
  frame_.y = y_range(plot_.series);
  frame_.log_x = plot_.log_x;
  y_ticks_ = round_ticks(frame_.y, 5);
  y_texts_ = tick_texts(y_ticks_);
  double widest = 0;
  for (const auto& text : y_texts_) widest = std::max(widest, text_pixels(text, kText));
  frame_.left = widest + 12;
  frame_.right = size_.width;
  frame_.bottom = size_.height - (plot_.x_label.empty() ? 26 : 44);
  arrange_ends();
  arrange_marks();
  title_bottom_ = (plot_.title.empty() ? 0 : 24) + (plot_.y_label.empty() ? 4 : kRow);
  int mark_rows = 0;
  for (const auto& mark : marks_) mark_rows = std::max(mark_rows, mark.row + 1);
  frame_.top = title_bottom_ + mark_rows * kRow + 8;
  arrange_clips();
  int clip_rows = 0;
  for (const auto& clip : clips_) clip_rows = std::max(clip_rows, clip.row + 1);
  if (clip_rows > 0) frame_.top += clip_rows * kRow + 4;
  // Many labels need a taller plot; and a plot is never lower than readable.
  const double least = std::max(120.0, static_cast<double>(ends_.size()) * kRow);
  if (const double missing = least - (frame_.bottom - frame_.top); missing > 0) size_.height += missing, frame_.bottom += missing;
  std::vector<double> wanted;
  for (size_t i = 0; i < traces_.size(); ++i) traces_[i] = trace(plot_.series[i], frame_);
  for (auto& end : ends_) {
    const Trace& line = traces_[end.series];
    // What left through the top is ordered by its value, above whatever ends at the top edge.
    end.wanted = line.end_y - (line.last > frame_.y.high ? std::min(std::max(line.last / frame_.y.high, 0.0), 1e6) * 1e-6 : 0);
    wanted.push_back(end.wanted);
  }
  const std::vector<double> placed = spread(wanted, kRow, frame_.top, frame_.bottom);
  for (size_t i = 0; i < ends_.size(); ++i) ends_[i].y = placed[i];
}

void Drawing::arrange_ends() {
  const bool roomy = size_.width >= 560;
  const double most = size_.width * (roomy ? 0.34 : 0.36) - kLead;
  double widest = 0;
  for (size_t i = 0; i < plot_.series.size(); ++i) {
    const Series& series = plot_.series[i];
    traces_.push_back(trace(series, frame_));
    if (!traces_.back().any) continue;
    EndLabel end{i, series.name, value_text(traces_.back().last, plot_.y_decimals), 0, 0};
    if (roomy && !series.note.empty() && series.note != end.rest) end.rest += "  " + series.note;
    const auto pixels = [&] { return text_pixels(end.name, kText * 1.06) + text_pixels(" " + end.rest, kText); };
    if (pixels() > most && roomy) end.rest = value_text(traces_.back().last, plot_.y_decimals);
    for (int64_t length = text_width(end.name) - 1; length > 3 && pixels() > most; --length)
      end.name = cut_to_width(series.name, length, "…");
    widest = std::max(widest, pixels());
    ends_.push_back(end);
  }
  frame_.right = size_.width - (ends_.empty() ? 12 : kLead + widest + 4);
}

void Drawing::arrange_marks() {
  std::vector<Extent> extents;
  for (const auto& mark : plot_.marks) {
    if (!std::isfinite(mark.x)) continue;
    const bool before = mark.x<frame_.x.low, after = mark.x> frame_.x.high;
    const std::string text = before ? "← " + mark.label : after ? mark.label + " →" : mark.label;
    const double x = frame_.px(mark.x), pixels = text_pixels(text, kText * 1.06);
    const double text_x = kept_inside(after ? frame_.right - pixels : x + 5, pixels);
    marks_.push_back({x, text_x, text, !before && !after, mark.shade_after, 0});
    extents.push_back({std::min(x, text_x), text_x + pixels});
  }
  const std::vector<int> rows = rows_without_overlap(extents, 10);
  for (size_t i = 0; i < marks_.size(); ++i) marks_[i].row = rows[i];
}

void Drawing::arrange_clips() {
  std::vector<Extent> extents;
  for (size_t i = 0; i < plot_.series.size(); ++i) {
    const Trace line = trace(plot_.series[i], frame_);
    if (line.clips.empty()) continue;
    // One label a series, where it first leaves: it names the highest value of all its clips.
    Clip whole = line.clips.front();
    for (const auto& clip : line.clips) {
      whole.several |= clip.several || clip.value != whole.value;
      whole.value = std::max(whole.value, clip.value);
    }
    const std::string value = value_text(whole.value, plot_.y_decimals);
    const std::string text = cut_to_width(plot_.series[i].name, 24, "…") + (whole.several ? " up to " : " ") + value;
    const double pixels = text_pixels(text, kText * 1.06);
    const double x = kept_inside(whole.from + 9, pixels);
    clips_.push_back({i, whole.from, x, text, 0});
    extents.push_back({std::min(whole.from - 6, x), x + pixels});
  }
  const std::vector<int> rows = rows_without_overlap(extents, 10);
  for (size_t i = 0; i < clips_.size(); ++i) clips_[i].row = rows[i];
}

void Drawing::head() {
  const std::string about = plot_.title.empty() ? plot_.y_label : plot_.title;
  out_ += fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lv-plot\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" "
      "role=\"img\" aria-label=\"{2}\">\n<style>{3}</style>\n",
      size_.width, size_.height, escaped(about), plot_style());
  if (!plot_.title.empty()) put(0, 15, "lv-title", cut_to_width(plot_.title, static_cast<int64_t>(size_.width / 8.5), "…"));
  if (!plot_.y_label.empty())
    put(0, title_bottom_ - 4, "lv-soft", cut_to_width(plot_.y_label, static_cast<int64_t>(size_.width / 7), "…"));
  if (!plot_.x_label.empty()) put((frame_.left + frame_.right) / 2, size_.height - 8, "lv-soft", plot_.x_label, "middle");
}

void Drawing::shade() {
  for (const auto& mark : marks_)
    if (mark.inside && mark.shade && mark.x < frame_.right)
      out_ += fmt::format("<rect class=\"lv-past\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n", mark.x,
                          frame_.top, frame_.right - mark.x, frame_.bottom - frame_.top);
}

void Drawing::axes() {
  for (size_t i = 0; i < y_ticks_.size(); ++i) {
    const double y = frame_.py(y_ticks_[i]);
    out_ += fmt::format("<path class=\"lv-grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", frame_.left, y, frame_.right);
    put(frame_.left - 8, y + 4, "lv-soft", y_texts_[i], "end");
  }
  // As many x ticks as fit beside one another.
  std::vector<double> ticks;
  std::vector<std::string> texts;
  for (int wanted = 8; wanted >= 1; --wanted) {
    ticks = plot_.log_x ? log_ticks(frame_.x, wanted) : round_ticks(frame_.x, wanted);
    texts = tick_texts(ticks);
    double edge = -1e9;
    bool fits = true;
    for (size_t i = 0; i < ticks.size(); ++i) {
      const double half = text_pixels(texts[i], kText) / 2, x = frame_.px(ticks[i]);
      fits &= x - half >= edge + 14;
      edge = x + half;
    }
    if (fits) break;
  }
  out_ += fmt::format("<path class=\"lv-axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", frame_.left, frame_.bottom, frame_.right);
  for (size_t i = 0; i < ticks.size(); ++i) {
    const double x = frame_.px(ticks[i]);
    out_ += fmt::format("<path class=\"lv-axis\" d=\"M{:.1f} {:.1f}v4\"/>\n", x, frame_.bottom);
    put(x, frame_.bottom + 18, "lv-soft", texts[i], "middle");
  }
}

// A strip for each bucket (or each x, up to half way to its neighbours) that says every series' value when hovered.
void Drawing::bands() {
  std::map<std::pair<double, double>, std::vector<std::pair<double, size_t>>> strips;
  for (size_t i = 0; i < plot_.series.size(); ++i)
    for (const auto& point : plot_.series[i].points) {
      if (!std::isfinite(point.x) || std::isnan(point.y)) continue;
      strips[{point.x, point.end()}].emplace_back(point.y, i);
      if (strips.size() > kMostBands) return;
    }
  for (auto at = strips.begin(); at != strips.end(); ++at) {
    auto& [place, values] = *at;
    double from = frame_.px(place.first), to = frame_.px(place.second);
    if (place.first == place.second) {
      from = at == strips.begin() ? frame_.left : (from + frame_.px(std::prev(at)->first.second)) / 2;
      to = std::next(at) == strips.end() ? frame_.right : (to + frame_.px(std::next(at)->first.first)) / 2;
    }
    if (to - from < 0.05) continue;
    std::sort(values.begin(), values.end());
    std::string words = place_text(place.first);
    if (place.first != place.second) words += " – " + place_text(place.second);
    for (const auto& [value, series] : values)
      words += fmt::format("\n{}  {}", value_text(value, plot_.y_decimals), plot_.series[series].name);
    out_ += fmt::format(
        "<rect class=\"lv-band\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>{}</title></rect>\n", from,
        frame_.top, to - from, frame_.bottom - frame_.top, escaped(words));
  }
}

void Drawing::marks() {
  for (const auto& mark : marks_) {
    const double y = title_bottom_ + 14 + mark.row * kRow;
    if (mark.inside) out_ += fmt::format("<path class=\"lv-mark\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>\n", mark.x, y - 10, frame_.bottom);
    put(mark.text_x, y, "lv-marked lv-halo", mark.text);
  }
}

void Drawing::line(size_t i) {
  const Series& series = plot_.series[i];
  const Trace& drawn = traces_[i];
  if (!drawn.any) return;
  const std::string title = series.name + (series.note.empty() ? "" : ": " + series.note);
  std::string classes = "lv-line lv-s" + color(i);
  if (series.weight == Series::Weight::strong) classes += " lv-strong";
  if (series.weight == Series::Weight::faint) classes += " lv-faint";
  if (i / kColors % 2 == 1) classes += " lv-dashed";
  out_ += fmt::format("<g><title>{}</title>\n", escaped(title));
  if (!drawn.path.empty()) out_ += fmt::format("<path class=\"{}\" d=\"{}\"/>\n", classes, drawn.path);
  for (const auto& [x, y] : drawn.dots)
    out_ += fmt::format("<circle class=\"lv-f{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>\n", color(i), x, y);
  for (const auto& clip : drawn.clips) {
    if (clip.to - clip.from > 12)
      out_ += fmt::format("<path class=\"lv-beyond lv-s{}\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", color(i), clip.from + 8, frame_.top,
                          clip.to);
    out_ += fmt::format("<path class=\"lv-f{}\" d=\"M{:.1f} {:.1f}l-5.5 10h11z\"/>\n", color(i), clip.from, frame_.top - 9);
  }
  out_ += "</g>\n";
}

void Drawing::clips() {
  for (const auto& clip : clips_) put(clip.x, frame_.top - 4 - clip.row * kRow, "lv-name lv-halo", clip.text);
}

void Drawing::end_labels() {
  for (const auto& end : ends_) {
    const Trace& line = traces_[end.series];
    const double x = frame_.right;
    out_ += fmt::format("<path class=\"lv-lead lv-s{}\" d=\"M{:.1f} {:.1f}H{:.1f}L{:.1f} {:.1f}H{:.1f}\"/>\n", color(end.series),
                        line.end_x, line.end_y, x + 3, x + kLead - 12, end.y, x + kLead - 5);
    out_ += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"lv-end\"><tspan class=\"lv-name\">{}</tspan> <tspan "
        "class=\"lv-soft\">{}</tspan></text>\n",
        x + kLead, end.y + 4, escaped(end.name), escaped(end.rest));
  }
}

}  // namespace

std::string svg(const Plot& plot, PlotSize size) { return Drawing(plot, size).text(); }

}  // namespace longview
