// Where labels go so that none covers another.
#pragma once

#include <string_view>
#include <vector>

namespace longview {

/// Width of a text in pixels at a font size, judged on the generous side (DejaVu Sans, the widest common face).
double text_pixels(std::string_view utf8, double size);

/// Moves centres apart to at least `gap`, as little as possible (least squares), inside [low, high]. Where they cannot all
/// fit, the gap shrinks to what fits. Keeps their order; the result is in the order of the input.
std::vector<double> spread(const std::vector<double>& wanted, double gap, double low, double high);

/// Horizontal extents into as few rows as first fit gives, none overlapping in its row: the row of each.
struct Extent {
  double from = 0, to = 0;
};
std::vector<int> rows_without_overlap(const std::vector<Extent>& extents, double gap);

}  // namespace longview
