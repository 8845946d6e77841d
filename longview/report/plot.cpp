// Line plots as SVG text, drawn from back to front.
#include "longview/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "longview/base/text_format.h"
#include "longview/report/escape.h"
#include "longview/report/plot_layout.h"
#include "longview/report/scale.h"
#include "longview/report/style.h"

namespace longview {
namespace {

constexpr size_t kMostBands = 400;  // hover texts; beyond them only the lines have one

class Drawing {
 public:
  Drawing(const Plot& plot, PlotSize size) : plot_(plot), layout_(arranged(plot, size)), frame_(layout_.frame) {}

  std::string text() {
    head();
    shade();
    axes();
    bands();
    marks();
    // Thick ones first: where several lines are the same, each still shows.
    for (const bool strong : {true, false})
      for (size_t i = 0; i < plot_.series.size(); ++i)
        if ((plot_.series[i].weight == Series::Weight::strong) == strong) line(i);
    clips();
    ends();
    if (layout_.ends.empty())
      put((frame_.left + frame_.right) / 2, (frame_.top + frame_.bottom) / 2, "lv-soft", "no data", "middle");
    return out_ + "</svg>\n";
  }

 private:
  void head();
  void shade();
  void axes();
  void bands();
  void marks();
  void line(size_t i);
  void clips();
  void ends();

  template <class... Args>
  void add(fmt::format_string<Args...> text, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), text, std::forward<Args>(args)...);
  }
  void put(double x, double y, std::string_view classes, std::string_view words, std::string_view anchor = "start") {
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n", x, y, classes, anchor, escaped(words));
  }
  std::string fitting(const std::string& words, double pixels_each) const {
    return cut_to_width(words, static_cast<int64_t>(layout_.size.width / pixels_each), "…");
  }

  const Plot& plot_;
  const Layout layout_;
  const Frame& frame_;
  std::string out_;
};

void Drawing::head() {
  const std::string about = plot_.title.empty() ? plot_.y_label : plot_.title;
  const PlotSize size = layout_.size;
  add("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lv-plot\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" "
      "role=\"img\" aria-label=\"{2}\">\n<style>{3}</style>\n",
      size.width, size.height, escaped(about), plot_style());
  if (!plot_.title.empty()) put(0, 15, "lv-title", fitting(plot_.title, 8.5));
  if (!plot_.y_label.empty()) put(0, layout_.head - 4, "lv-soft", fitting(plot_.y_label, 7));
  if (!plot_.x_label.empty()) put((frame_.left + frame_.right) / 2, size.height - 8, "lv-soft", plot_.x_label, "middle");
}

void Drawing::shade() {
  for (const auto& mark : layout_.marks)
    if (mark.inside && mark.shade && mark.x < frame_.right)
      add("<rect class=\"lv-past\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n", mark.x, frame_.top,
          frame_.right - mark.x, frame_.bottom - frame_.top);
}

void Drawing::axes() {
  const Ticks &xs = layout_.x, &ys = layout_.y;
  for (size_t i = 0; i < ys.at.size(); ++i) {
    const double y = frame_.py(ys.at[i]);
    add("<path class=\"lv-grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", frame_.left, y, frame_.right);
    put(frame_.left - 8, y + 4, "lv-soft", ys.texts[i], "end");
  }
  add("<path class=\"lv-axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", frame_.left, frame_.bottom, frame_.right);
  for (size_t i = 0; i < xs.at.size(); ++i) {
    const double x = frame_.px(xs.at[i]);
    add("<path class=\"lv-axis\" d=\"M{:.1f} {:.1f}v4\"/>\n", x, frame_.bottom);
    put(x, frame_.bottom + 18, "lv-soft", xs.texts[i], "middle");
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
    add("<rect class=\"lv-band\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>{}</title></rect>\n", from,
        frame_.top, to - from, frame_.bottom - frame_.top, escaped(words));
  }
}

void Drawing::marks() {
  for (const auto& mark : layout_.marks) {
    const double y = layout_.head + 14 + mark.row * kRow;
    if (mark.inside) add("<path class=\"lv-mark\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>\n", mark.x, y - 10, frame_.bottom);
    put(mark.text_x, y, "lv-marked lv-halo", mark.text);
  }
}

void Drawing::line(size_t i) {
  const Series& series = plot_.series[i];
  const Trace& drawn = layout_.traces[i];
  if (!drawn.any) return;
  const size_t color = i % kColors;
  std::string classes = fmt::format("lv-line lv-s{}", color);
  if (series.weight == Series::Weight::strong) classes += " lv-strong";
  if (series.weight == Series::Weight::faint) classes += " lv-faint";
  if (i / kColors % 2 == 1) classes += " lv-dashed";
  add("<g><title>{}</title>\n", escaped(series.name + (series.note.empty() ? "" : ": " + series.note)));
  if (!drawn.risers.empty()) add("<path class=\"lv-riser lv-s{}\" d=\"{}\"/>\n", color, drawn.risers);
  if (!drawn.path.empty()) add("<path class=\"{}\" d=\"{}\"/>\n", classes, drawn.path);
  for (const auto& [x, y] : drawn.dots) add("<circle class=\"lv-f{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>\n", color, x, y);
  for (const auto& clip : drawn.clips) {
    const double y = frame_.top;
    if (clip.to - clip.from > 12)
      add("<path class=\"lv-beyond lv-s{}\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", color, clip.from + 8, y, clip.to);
    add("<path class=\"lv-arrow lv-f{}\" d=\"M{:.1f} {:.1f}l-5.5 10h11z\"/>\n", color, clip.from, y - 9);
  }
  add("</g>\n");
}

void Drawing::clips() {
  const bool several = layout_.clips.size() > 1;  // then a triangle in the line's colour tells them apart
  for (const auto& clip : layout_.clips)
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"lv-name lv-halo lv-clip\">{}{}</text>\n", clip.x,
        frame_.top - 14 - clip.row * kRow, several ? fmt::format("<tspan class=\"lv-f{}\">▲</tspan> ", clip.series % kColors) : "",
        escaped(clip.text));
}

void Drawing::ends() {
  for (const auto& end : layout_.ends) {
    const Trace& line = layout_.traces[end.series];
    const double x = frame_.right;
    add("<path class=\"lv-lead lv-s{}\" d=\"M{:.1f} {:.1f}H{:.1f}L{:.1f} {:.1f}H{:.1f}\"/>\n", end.series % kColors, line.end_x,
        line.end_y, x + 3, x + kLeader - 12, end.y, x + kLeader - 5);
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"lv-end\"><tspan class=\"lv-name\">{}</tspan> <tspan "
        "class=\"lv-soft\">{}</tspan>{}</text>\n",
        x + kLeader, end.y + 4, escaped(end.name), escaped(end.value), end.note.empty() ? "" : " · " + escaped(end.note));
  }
}

}  // namespace

std::string svg(const Plot& plot, PlotSize size) { return Drawing(plot, size).text(); }

}  // namespace longview
