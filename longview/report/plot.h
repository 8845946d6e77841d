// Line plots as SVG text, readable without a manual and without JavaScript.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace longview {

/// A point, or with `to` set a horizontal run from x to `to` (a bucket). A y of NaN breaks the line; infinity leaves the
/// plot through its edge. Points with an x that is not finite are left out.
struct Point {
  double x = 0, y = 0;
  double to = std::numeric_limits<double>::quiet_NaN();
  bool is_run() const { return std::isfinite(to) && to > x; }
  double end() const { return is_run() ? to : x; }
};

struct Series {
  enum class Weight { normal, strong, faint };  // strong: the one to look at
  std::string name;
  std::vector<Point> points;
  std::string note;  // a word or two after the name at the line's end ("collapses"); may be empty
  Weight weight = Weight::normal;
};

/// A vertical line with a label, "trained length 8,192". What lies to the right of it can be shaded.
struct Mark {
  double x = 0;
  std::string label;
  bool shade_after = false;
};

struct Plot {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  std::vector<Mark> marks;
  bool log_x = false;  // x <= 0 is drawn at the left edge
  int y_decimals = 2;  // of the values written at line ends, clips and in hover texts
  double y_low = std::numeric_limits<double>::quiet_NaN(), y_high = y_low;  // ends of the axis where they are known: percents
};

/// Pixels of the drawing; text keeps its size, so a phone gets its own narrow drawing instead of a shrunk one.
/// The height grows when the line-end labels need more room.
struct PlotSize {
  double width = 880, height = 420;
};

/// One <svg> element, valid XML, that brings its own light and dark colours. Series beyond the twelfth reuse the colours.
std::string svg(const Plot& plot, PlotSize size = {});

}  // namespace longview
