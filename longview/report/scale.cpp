// Axes of a plot: ranges, round ticks, and how numbers are written on them.
#include "longview/report/scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "longview/base/text_format.h"

namespace longview {
namespace {

// A series that rises above this many times the body's height is cut.
constexpr double kTallest = 2.5;

bool drawable(double value) { return std::isfinite(value) && std::fabs(value) <= kBeyond; }

Range never_empty(Range range) {
  if (range.high > range.low) return range;
  const double half = range.low == 0 ? 0.5 : std::fabs(range.low) * 0.05;
  return {range.low - half, range.high + half};
}

// Largest finite y of each series that has one, smallest first; `all` gets every finite y's range.
std::vector<double> tops_of(const std::vector<Series>& series, Range& all) {
  std::vector<double> tops;
  all = {kBeyond, -kBeyond};
  for (const auto& line : series) {
    double top = -kBeyond;
    bool any = false;
    for (const auto& point : line.points) {
      if (!drawable(point.y) || !drawable(point.x)) continue;
      any = true;
      top = std::max(top, point.y);
      all.low = std::min(all.low, point.y);
    }
    if (any) tops.push_back(top), all.high = std::max(all.high, top);
  }
  std::sort(tops.begin(), tops.end());
  return tops;
}

}  // namespace

Range x_range(const Plot& plot) {
  Range range{kBeyond, -kBeyond};
  for (const auto& line : plot.series)
    for (const auto& point : line.points) {
      if (!drawable(point.x) || !drawable(point.end()) || (plot.log_x && point.end() <= 0)) continue;
      range.low = std::min(range.low, plot.log_x && point.x <= 0 ? point.end() : point.x);
      range.high = std::max(range.high, point.end());
    }
  if (range.low > range.high) return plot.log_x ? Range{1, 10} : Range{0, 1};
  if (plot.log_x && range.low == range.high) return {range.low / 2, range.high * 2};
  const Range data = never_empty(range);
  range = data;
  for (const auto& mark : plot.marks) {
    if (plot.log_x || !drawable(mark.x)) continue;
    if (mark.x > data.low - data.span() / 2 && mark.x < data.high + data.span() / 2) {
      range.low = std::min(range.low, mark.x);
      range.high = std::max(range.high, mark.x);
    }
  }
  return range;
}

Range y_range(const std::vector<Series>& series) {
  Range all;
  const std::vector<double> tops = tops_of(series, all);
  if (tops.empty()) return {0, 1};
  // The body: the half of the series with the lowest tops. What fits into a few of its heights sets the range.
  const double body = tops[(tops.size() - 1) / 2] - all.low;
  const double limit = body > 0 ? all.low + kTallest * body : all.high;
  double high = all.low;
  for (const auto& line : series)
    for (const auto& point : line.points)
      if (drawable(point.y) && drawable(point.x) && point.y <= limit) high = std::max(high, point.y);
  const Range range = never_empty({all.low, high});
  const double margin = range.span() * 0.06;
  return {range.low - margin, range.high + margin};
}

std::vector<double> round_ticks(Range range, int wanted) {
  const double rough = range.span() / std::max(wanted, 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  // The nearest of 1, 2, 5 and 10 in proportion.
  const double times = rough / power;
  const double step = power * (times < std::sqrt(2) ? 1 : times < std::sqrt(10) ? 2 : times < std::sqrt(50) ? 5 : 10);
  std::vector<double> ticks;
  const double slack = step * 1e-9;
  const double first = std::ceil((range.low - slack) / step);
  for (int i = 0; i < 100 && (first + i) * step <= range.high + slack; ++i) {
    const double tick = (first + i) * step;
    if (!ticks.empty() && tick <= ticks.back()) break;  // steps below the number's precision
    ticks.push_back(tick == 0 ? 0.0 : tick);
  }
  if (ticks.empty()) ticks.push_back(range.low + range.span() / 2);
  return ticks;
}

std::vector<double> log_ticks(Range range, int wanted) {
  const int first = static_cast<int>(std::floor(std::log10(range.low))), last = static_cast<int>(std::ceil(std::log10(range.high)));
  const int every = std::max(1, (last - first + wanted - 1) / std::max(wanted, 1));
  std::vector<double> ticks;
  for (int decade = first; decade <= last; decade += every)
    for (const double times : {1.0, 2.0, 5.0}) {
      if (times > 1 && (last - first) * 3 > wanted) continue;
      const double tick = times * std::pow(10, decade);
      if (tick >= range.low * 0.999999 && tick <= range.high * 1.000001) ticks.push_back(tick);
    }
  if (ticks.empty()) ticks = {range.low, range.high};
  return ticks;
}

std::vector<std::string> tick_texts(const std::vector<double>& ticks) {
  double most = 0, finest = 0;
  for (size_t i = 0; i < ticks.size(); ++i) {
    most = std::max(most, std::fabs(ticks[i]));
    const double step = i > 0 ? std::fabs(ticks[i] - ticks[i - 1]) : std::fabs(ticks[0]);
    if (step > 0 && (finest == 0 || step < finest)) finest = step;
  }
  const bool plain = most < 1e12 && (finest == 0 || finest >= 0.9e-6);
  const int decimals = finest > 0 && finest < 1 ? static_cast<int>(std::ceil(-std::log10(finest) - 1e-9)) : 0;
  std::vector<std::string> texts;
  for (const double tick : ticks) texts.push_back(plain ? with_commas(tick, decimals) : fmt::format("{:.3g}", tick));
  return texts;
}

std::string value_text(double value, int decimals) {
  if (std::isnan(value)) return "no value";
  if (std::fabs(value) > kBeyond) return value > 0 ? "∞" : "-∞";
  return with_commas(value, decimals);
}

std::string place_text(double x) {
  if (x == std::floor(x) && std::fabs(x) < 1e15) return with_commas(static_cast<int64_t>(x));
  return fmt::format("{:.4g}", x);
}

}  // namespace longview
