// A series on its way to the screen: vertices, thinned to the pixels there are, cut at the top of the plot.
#include "longview/report/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace longview {
namespace {

struct Vertex {
  double x, y, value;  // pixels, pixels, the number itself
};
using Line = std::vector<Vertex>;

// Where infinity is drawn to: far above the frame, so that the way there looks like a wall.
double held(double value, Range y) { return std::min(value, y.high + 30 * y.span()); }

// One line for each unbroken stretch.
std::vector<Line> lines_of(const Series& series, const Frame& frame) {
  std::vector<Line> lines(1);
  for (const auto& point : series.points) {
    if (!std::isfinite(point.x) || std::fabs(point.x) > kBeyond) continue;
    if (std::isnan(point.y) || point.y < -kBeyond) {
      if (!lines.back().empty()) lines.emplace_back();
      continue;
    }
    const double y = frame.py(held(point.y, frame.y));
    lines.back().push_back({frame.px(point.x), y, point.y});
    if (point.is_run()) lines.back().push_back({frame.px(point.end()), y, point.y});
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

class Pen {
 public:
  explicit Pen(std::string& path) : path_(path) {}
  void lift() { down_ = false; }
  void to(double x, double y) {
    if (down_ && std::fabs(x - x_) < 0.05 && std::fabs(y - y_) < 0.05) return;
    const char* step = !down_ ? "M" : std::fabs(y - y_) < 0.05 ? "H" : std::fabs(x - x_) < 0.05 ? "V" : "L";
    if (*step == 'H') path_ += fmt::format("H{:.1f}", x);
    else if (*step == 'V') path_ += fmt::format("V{:.1f}", y);
    else path_ += fmt::format("{}{:.1f} {:.1f}", step, x, y);
    down_ = true, x_ = x, y_ = y;
  }

 private:
  std::string& path_;
  bool down_ = false;
  double x_ = 0, y_ = 0;
};

double crossing(const Vertex& a, const Vertex& b, double y) { return a.x + (b.x - a.x) * (y - a.y) / (b.y - a.y); }

// Draws what lies inside the frame and notes where the line is above it.
void draw(const Line& line, double top, Pen& pen, std::vector<Clip>& clips) {
  pen.lift();
  bool above = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const Vertex& here = line[i];
    const bool out = here.y < top - 1e-9;
    if (out != above) {
      const double x = i > 0 ? crossing(line[i - 1], here, top) : here.x;
      if (i > 0) pen.to(x, top);
      if (out) clips.push_back({x, x, here.value, false});
      else clips.back().to = x;
    }
    if (out) {
      Clip& clip = clips.back();
      clip.several |= here.value != clip.value;
      clip.value = std::max(clip.value, here.value);
      clip.to = here.x;
      pen.lift();
    } else {
      pen.to(here.x, here.y);
    }
    above = out;
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
  Pen pen(out.path);
  for (const Line& whole : lines_of(series, frame)) {
    const Line line = thinned(whole, frame.right - frame.left);
    draw(line, frame.top, pen, out.clips);
    const bool dot = line.size() == 1 && line[0].y >= frame.top;
    if (dot) out.dots.emplace_back(line[0].x, line[0].y);
    out.any = true;
    out.end_x = line.back().x;
    out.end_y = std::max(line.back().y, frame.top);
    out.last = line.back().value;
  }
  return out;
}

}  // namespace longview
