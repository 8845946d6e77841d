// A series on its way to the screen: vertices, thinned to the pixels there are, cut at the top of the plot.
#include "longview/report/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace longview {
namespace {

constexpr double kWideRun = 14;  // pixels

struct Vertex {
  double x, y, value;  // pixels, pixels, the number itself
  bool riser = false;  // reached by a step from one run to the next
};
using Line = std::vector<Vertex>;

// Where infinity is drawn to: far above the frame, so that the way there looks like a wall.
double held(double value, Range y) { return value > kBeyond ? y.high + 1e6 * y.span() : value; }

// Steps between wide runs are drawn thin, as they are no values; between narrow ones they are what one sees.
bool thin_risers(const Series& series, const Frame& frame) {
  double pixels = 0, runs = 0;
  for (const auto& point : series.points)
    if (point.is_run()) pixels += frame.px(point.end()) - frame.px(point.x), ++runs;
  return runs > 0 && pixels / runs >= kWideRun;
}

// One line for each unbroken stretch.
std::vector<Line> lines_of(const Series& series, const Frame& frame) {
  std::vector<Line> lines(1);
  const bool thin = thin_risers(series, frame);
  for (const auto& point : series.points) {
    if (!std::isfinite(point.x) || std::fabs(point.x) > kBeyond) continue;
    if (std::isnan(point.y) || point.y < -kBeyond) {
      if (!lines.back().empty()) lines.emplace_back();
      continue;
    }
    const double y = frame.py(held(point.y, frame.y));
    lines.back().push_back({frame.px(point.x), y, point.y, thin && !lines.back().empty()});
    if (point.is_run()) lines.back().push_back({frame.px(point.end()), y, point.y, false});
  }
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

// At most four vertices a pixel column: the first, the lowest, the highest and the last, so that no peak is lost.
Line thinned(const Line& line, double columns) {
  if (static_cast<double>(line.size()) <= 4 * columns) return line;
  Line out;
  for (size_t from = 0; from < line.size();) {
    size_t to = from, low = from, high = from;
    for (; to < line.size() && std::floor(line[to].x) == std::floor(line[from].x); ++to) {
      if (line[to].y < line[low].y) low = to;
      if (line[to].y > line[high].y) high = to;
    }
    size_t kept[4] = {from, low, high, to - 1};
    std::sort(std::begin(kept), std::end(kept));
    for (int i = 0; i < 4; ++i)
      if (i == 0 || kept[i] != kept[i - 1]) out.push_back(line[kept[i]]);
    from = to;
  }
  return out;
}

// Writes the d of an SVG path; a segment that starts where the last one ended goes on from there.
class Pen {
 public:
  explicit Pen(std::string& path) : path_(path) {}
  void segment(double x0, double y0, double x1, double y1) {
    if (!down_ || !same(x0, x_) || !same(y0, y_)) path_ += fmt::format("M{:.1f} {:.1f}", x0, y0);
    if (same(y0, y1)) path_ += fmt::format("H{:.1f}", x1);
    else if (same(x0, x1)) path_ += fmt::format("V{:.1f}", y1);
    else path_ += fmt::format("L{:.1f} {:.1f}", x1, y1);
    down_ = true, x_ = x1, y_ = y1;
  }

 private:
  static bool same(double a, double b) { return std::fabs(a - b) < 0.05; }
  std::string& path_;
  bool down_ = false;
  double x_ = 0, y_ = 0;
};

double crossing(const Vertex& a, const Vertex& b, double y) { return a.x + (b.x - a.x) * (y - a.y) / (b.y - a.y); }

// Draws what lies inside the frame and notes where the line is above it.
void draw(const Line& line, double top, Pen& flat, Pen& risers, std::vector<Clip>& clips) {
  const auto is_out = [&](const Vertex& v) { return v.y < top - 1e-9; };
  for (size_t i = 0; i < line.size(); ++i) {
    const Vertex& here = line[i];
    const Vertex& before = line[i > 0 ? i - 1 : 0];
    const bool out = is_out(here), was_out = i > 0 && is_out(before);
    const double x = out != was_out && i > 0 ? crossing(before, here, top) : here.x;
    if (out && !was_out) clips.push_back({x, x, here.value, false});
    if (out) {
      clips.back().several |= here.value != clips.back().value;
      clips.back().value = std::max(clips.back().value, here.value);
    }
    if (out || was_out) clips.back().to = out ? here.x : x;
    if (i == 0 || (out && was_out)) continue;
    Pen& pen = here.riser ? risers : flat;
    pen.segment(was_out ? x : before.x, was_out ? top : before.y, out ? x : here.x, out ? top : here.y);
  }
}

}  // namespace

double Frame::px(double value) const {
  const auto share = [&] {
    if (!log_x) return (value - x.low) / x.span();
    return value <= 0 ? 0 : std::log(value / x.low) / std::log(x.high / x.low);
  }();
  return left + std::clamp(share, 0.0, 1.0) * (right - left);
}

double Frame::py(double value) const { return bottom - (value - y.low) / y.span() * (bottom - top); }

Trace trace(const Series& series, const Frame& frame) {
  Trace out;
  Pen flat(out.path), risers(out.risers);
  for (const Line& whole : lines_of(series, frame)) {
    const Line line = thinned(whole, frame.right - frame.left);
    draw(line, frame.top, flat, risers, out.clips);
    const Vertex& last = line.back();
    const bool dot =
        std::all_of(line.begin(), line.end(), [&](const Vertex& v) { return std::hypot(v.x - last.x, v.y - last.y) < 0.5; });
    if (dot && last.y >= frame.top) out.dots.emplace_back(last.x, last.y);
    out.any = true;
    out.end_x = last.x;
    out.end_y = std::max(last.y, frame.top);
    out.last = last.value;
  }
  return out;
}

}  // namespace longview
