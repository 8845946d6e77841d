// Shares in a grid, darker for more: found of asked by length and depth.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "longview/report/plot.h"

namespace longview {

struct HeatMap {
  struct Cell {
    double share = std::numeric_limits<double>::quiet_NaN();  // 0 to 1; NaN: not measured
    std::string text, more;                                   // in the cell, "3/4"; and what hovering adds
  };
  std::string title, x_label, y_label;
  std::vector<std::string> columns, rows;
  std::vector<std::vector<Cell>> cells;  // by row; a row that is short has no measurements at its end
};

/// One <svg> element like that of a plot. Shares are told by text as well as by colour.
std::string svg(const HeatMap& map, PlotSize size = {});

}  // namespace longview
