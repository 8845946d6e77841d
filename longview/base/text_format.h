// Numbers and tables as people read them: thousands separators, bytes, durations, bars, right-aligned columns.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longview {

/// 1152440 is "1,152,440".
std::string with_commas(int64_t value);

/// With `decimals` digits after the point: 1152440.25 is "1,152,440.3" for 1. "nan", "inf", "-inf" for what is not a number.
std::string with_commas(double value, int decimals);

/// Bytes in the largest unit that keeps the number at least 1: "912 B", "45 MiB", "1.4 GiB" (one decimal below 10).
std::string bytes_text(int64_t bytes);

/// Seconds as "0:07", "13:04", "1:02:03", "3 d 04:05:06"; "?" when negative or not finite.
std::string duration_text(double seconds);

/// A horizontal bar of up to `width` cells for value out of max, in eighths of a cell ("▇▇▇▍"); whole '#' when not utf8.
/// Empty when value or max is not a positive number.
std::string bar_text(double value, double max, int width, bool utf8 = true);

/// How many columns a UTF-8 text takes, counted in code points (a byte that is not UTF-8 counts as one).
int64_t text_width(std::string_view utf8);

/// The first `width` code points; a text that was cut ends in `mark`, which counts.
std::string cut_to_width(std::string_view utf8, int64_t width, std::string_view mark = "");

/// True when LC_ALL, LC_CTYPE or LANG (the first that is set) names UTF-8.
bool locale_is_utf8();

/// A plain-text table: columns as wide as their widest cell, two spaces between, numbers to the right.
struct TextTable {
  enum class Align { left, right };
  struct Column {
    std::string name;
    Align align = Align::right;
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // a short row is filled with empty cells; a long one throws

  /// Lines end in '\n' and have no blanks at their end; the header is left out when every column's name is empty.
  std::string text(int indent = 2) const;
};

}  // namespace longview
