// Where everything in a plot goes, in pixels: margins by what has to be written in them, labels moved apart.
#pragma once

#include <string>
#include <vector>

#include "longview/report/plot.h"
#include "longview/report/trace.h"

namespace longview {

inline constexpr double kText = 12, kRow = 17;  // font size, height of a line of text
inline constexpr double kLeader = 26;           // room between a line's end and its label

struct EndLabel {
  size_t series = 0;
  std::string name, value, note;
  double y = 0;  // centre of the text; its left end is at frame.right + kLeader
  double pixels() const;
};

/// Beside the arrow of a series that leaves through the top; the row counts upwards.
struct ClipLabel {
  size_t series = 0;
  double x = 0;  // left end
  std::string text;
  int row = 0;
};

struct MarkLabel {
  double x = 0, text_x = 0;  // of the line, of the text's left end
  std::string text;
  bool inside = true, shade = false;
  int row = 0;  // counts downwards
};

struct Ticks {
  std::vector<double> at;
  std::vector<std::string> texts;
};

struct Layout {
  PlotSize size;
  Frame frame;
  double head = 0;  // where title and y label end
  Ticks x, y;
  std::vector<Trace> traces;  // one a series
  std::vector<EndLabel> ends;
  std::vector<MarkLabel> marks;
  std::vector<ClipLabel> clips;
};

Layout arranged(const Plot& plot, PlotSize size);

}  // namespace longview
