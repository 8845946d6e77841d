// A grid of shares as SVG.
#include "longview/report/heat_map.h"

#include <fmt/format.h>

#include <algorithm>

#include "longview/report/escape.h"
#include "longview/report/label.h"
#include "longview/report/style.h"

namespace longview {
namespace {

constexpr double kText = 12, kHead = 46, kRow = 34, kFoot = 44, kGap = 2;

void put(std::string& out, double x, double y, const char* classes, const std::string& words, const char* anchor) {
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n", x, y, classes, anchor,
                     escaped(words));
}

}  // namespace

std::string svg(const HeatMap& map, PlotSize size) {
  double left = 0;
  for (const auto& row : map.rows) left = std::max(left, text_pixels(row, kText));
  left += 12;
  const double width = (size.width - left) / static_cast<double>(std::max<size_t>(map.columns.size(), 1));
  const double height = kHead + kRow * static_cast<double>(map.rows.size()) + kFoot;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lv-plot\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" "
      "role=\"img\" aria-label=\"{2}\">\n<style>{3}</style>\n",
      size.width, height, escaped(map.title), plot_style());
  put(out, 0, 15, "lv-title", map.title, "start");
  put(out, 0, kHead - 10, "lv-soft", map.y_label, "start");
  for (size_t r = 0; r < map.rows.size(); ++r) {
    const double y = kHead + kRow * static_cast<double>(r);
    put(out, left - 8, y + kRow / 2 + 4, "lv-soft", map.rows[r], "end");
    for (size_t c = 0; c < map.columns.size(); ++c) {
      const HeatMap::Cell cell = r < map.cells.size() && c < map.cells[r].size() ? map.cells[r][c] : HeatMap::Cell{};
      const bool is_measured = !std::isnan(cell.share);
      const double x = left + width * static_cast<double>(c), share = is_measured ? std::clamp(cell.share, 0.0, 1.0) : 0;
      out += fmt::format(
          "<g><title>{}</title>\n<rect class=\"{}\" fill-opacity=\"{:.3f}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
          "height=\"{:.1f}\" rx=\"3\"/>\n",
          escaped(fmt::format("{} {}, {} {}: {}", map.rows[r], map.y_label, map.columns[c], map.x_label,
                              is_measured ? cell.text + cell.more : "not measured")),
          is_measured ? "lv-f0" : "lv-past", is_measured ? 0.07 + 0.93 * share : 1.0, x, y, width - kGap, kRow - kGap);
      put(out, x + (width - kGap) / 2, y + kRow / 2 + 4, share > 0.55 ? "lv-on" : "lv-name", is_measured ? cell.text : "–",
          "middle");
      out += "</g>\n";
    }
  }
  const double foot = kHead + kRow * static_cast<double>(map.rows.size());
  for (size_t c = 0; c < map.columns.size(); ++c)
    put(out, left + width * (static_cast<double>(c) + 0.5), foot + 15, "lv-soft", map.columns[c], "middle");
  put(out, left + (size.width - left) / 2, foot + 34, "lv-soft", map.x_label, "middle");
  return out + "</svg>\n";
}

}  // namespace longview
