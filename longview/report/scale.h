// Axes of a plot: ranges, round ticks, and how numbers are written on them.
#pragma once

#include <string>
#include <vector>

#include "longview/report/plot.h"

namespace longview {

struct Range {
  double low = 0, high = 1;
  double span() const { return high - low; }
};

/// Values beyond this count as infinite: they leave the plot.
inline constexpr double kBeyond = 1e30;

/// From the first x to the last end of a run, widened to the marks that lie near (within half the span). [0, 1] for no data,
/// and never empty. On a log axis only x > 0 counts.
Range x_range(const Plot& plot);

/// The y range that shows most series whole: one that climbs out by far is cut at the top instead of squeezing the others.
Range y_range(const std::vector<Series>& series);

/// Round numbers (1, 2 or 5 times a power of ten) inside the range, about `wanted` of them, at least one.
std::vector<double> round_ticks(Range range, int wanted);

/// Powers of ten inside the range, with 2 and 5 between them when the range is short. Needs range.low > 0.
std::vector<double> log_ticks(Range range, int wanted);

/// The ticks as text, all with the same number of decimals: "2,000", "2.50".
std::vector<std::string> tick_texts(const std::vector<double>& ticks);

/// A value at a line's end: fixed decimals with commas, "∞" for infinity.
std::string value_text(double value, int decimals);

/// x of a run or point as text: "8,192", "0.25".
std::string place_text(double x);

}  // namespace longview
