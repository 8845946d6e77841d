// A report as one self-contained HTML page.
#include "longview/report/page.h"

#include <fmt/format.h>

#include <optional>

#include "longview/base/check.h"
#include "longview/report/escape.h"
#include "longview/report/style.h"

namespace longview {
namespace {

constexpr PlotSize kWide{880, 430}, kNarrow{370, 380};

bool better(double a, double b, Best best) { return best == Best::lowest ? a < b : a > b; }

// The best of some cells; nothing when fewer than two have a value, or when more than half are as good.
template <class At>
std::optional<double> best_of(size_t count, Best best, At&& at) {
  std::optional<double> found;
  size_t values = 0, as_good = 0;
  for (size_t i = 0; i < count && best != Best::none; ++i) {
    const double value = at(i);
    if (std::isnan(value)) continue;
    ++values;
    if (!found || better(value, *found, best)) found = value, as_good = 0;
    as_good += value == *found;
  }
  return values > 1 && 2 * as_good <= values ? found : std::nullopt;
}

std::string cell_classes(const Table::Column& column, const Cell* cell, bool best) {
  std::string out = column.number ? "num" : "";
  const auto add = [&](const char* word) { out += out.empty() ? word : std::string(" ") + word; };
  if (best) add("best");
  if (cell != nullptr && cell->tone == Cell::Tone::good) add("good");
  if (cell != nullptr && cell->tone == Cell::Tone::bad) add("bad");
  return out.empty() ? out : fmt::format(" class=\"{}\"", out);
}

void append(std::string& out, const Table& table) {
  const auto value = [&](size_t row, size_t column) {
    return column < table.rows[row].size() ? table.rows[row][column].value : std::numeric_limits<double>::quiet_NaN();
  };
  out += "<div class=\"scroll\" tabindex=\"0\"><table>\n";
  if (!table.caption.empty()) out += fmt::format("<caption>{}</caption>\n", escaped(table.caption));
  out += "<thead><tr>";
  std::vector<std::optional<double>> best_down;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    const auto& column = table.columns[c];
    out += fmt::format("<th scope=\"col\"{}>{}</th>", column.number ? " class=\"num\"" : "", escaped(column.name));
    best_down.push_back(best_of(table.rows.size(), column.best, [&](size_t row) { return value(row, c); }));
  }
  out += "</tr></thead>\n<tbody>\n";
  for (size_t r = 0; r < table.rows.size(); ++r) {
    const auto& row = table.rows[r];
    LV_CHECK(row.size() <= table.columns.size(), "[table] row {} has {} cells; the table has {} columns", r, row.size(),
             table.columns.size());
    const auto best_across = best_of(table.columns.size(), table.best_in_row, [&](size_t c) { return value(r, c); });
    out += "<tr>";
    for (size_t c = 0; c < table.columns.size(); ++c) {
      const double here = value(r, c);
      const bool best = (best_down[c] && here == *best_down[c]) || (best_across && here == *best_across);
      const Cell* cell = c < row.size() ? &row[c] : nullptr;
      out += fmt::format("<td{}>{}</td>", cell_classes(table.columns[c], cell, best), cell != nullptr ? escaped(cell->text) : "");
    }
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
}

void append(std::string& out, const Paragraph& words) { out += fmt::format("<p>{}</p>\n", escaped(words)); }

template <class Drawing>
void append_drawing(std::string& out, const Drawing& plot) {
  out += fmt::format("<figure>\n<div class=\"wide\">{}</div>\n<div class=\"narrow\">{}</div>\n</figure>\n", svg(plot, kWide),
                     svg(plot, kNarrow));
}

void append(std::string& out, const Plot& plot) { append_drawing(out, plot); }
void append(std::string& out, const HeatMap& map) { append_drawing(out, map); }

void append(std::string& out, const Facts& facts) {
  out += "<dl class=\"facts\">\n";
  for (const auto& fact : facts) out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escaped(fact.key), escaped(fact.value));
  out += "</dl>\n";
}

void append(std::string& out, const NamedList& list) {
  out += "<ul class=\"named\">\n";
  for (const auto& item : list.items)
    out += fmt::format("<li><strong>{}</strong> {}</li>\n", escaped(item.key), escaped(item.value));
  out += "</ul>\n";
}

}  // namespace

std::string html(const Page& page) {
  std::string out = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n";
  if (page.refresh_seconds > 0) out += fmt::format("<meta http-equiv=\"refresh\" content=\"{}\"/>\n", page.refresh_seconds);
  out += fmt::format("<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n", escaped(page.title),
                     page_style(), escaped(page.title));
  if (!page.lead.empty()) out += "<div class=\"lead\">\n";
  for (const auto& words : page.lead) append(out, words);
  if (!page.lead.empty()) out += "</div>\n";
  for (const auto& section : page.sections) {
    out += "<section>\n";
    if (!section.title.empty()) out += fmt::format("<h2>{}</h2>\n", escaped(section.title));
    for (const auto& block : section.blocks) std::visit([&](const auto& content) { append(out, content); }, block);
    out += "</section>\n";
  }
  if (!page.footer.empty()) out += fmt::format("<footer>{}</footer>\n", escaped(page.footer));
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace longview
