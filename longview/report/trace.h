// A series on its way to the screen: vertices, thinned to the pixels there are, cut at the top of the plot.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "longview/report/plot.h"
#include "longview/report/scale.h"

namespace longview {

/// The plot's inside in pixels; y grows downwards.
struct Frame {
  double left = 0, top = 0, right = 0, bottom = 0;
  Range x, y;
  bool log_x = false;
  double px(double value) const;  // held to the frame
  double py(double value) const;  // not held: above the top for what is cut
};

/// A series where it lies above the plot's top.
struct Clip {
  double from = 0, to = 0;  // pixels: where it leaves and where it comes back (or ends)
  double value = 0;         // the largest there
  bool several = false;     // more than one value there
};

struct Trace {
  std::string path;    // the d of an SVG path; empty when nothing is to be drawn
  std::string risers;  // the d of the steps between runs, where they are drawn thin
  std::vector<Clip> clips;
  std::vector<std::pair<double, double>> dots;  // pixels: points with no neighbour, which a line would not show
  bool any = false;                             // has at least one value
  double end_x = 0, end_y = 0;                  // pixels of the last value, held to the frame
  double last = 0;                              // the last value
};

Trace trace(const Series& series, const Frame& frame);

}  // namespace longview
