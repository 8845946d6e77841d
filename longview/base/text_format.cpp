// Numbers and tables as people read them.
#include "longview/base/text_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "longview/base/check.h"

namespace longview {
namespace {

// "1152440" or "1152440.25", without a sign.
std::string grouped(std::string digits) {
  const size_t whole = std::min(digits.find('.'), digits.size());
  for (size_t at = whole; at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

// Bytes of the code point that starts here; 1 for what is not UTF-8.
size_t code_point_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t bytes = first < 0x80 ? 1 : first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 1;
  if (bytes > text.size()) return 1;
  for (size_t i = 1; i < bytes; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 1;
  return bytes;
}

void append_padded(std::string& line, const std::string& cell, int64_t width, TextTable::Align align) {
  const std::string blanks(static_cast<size_t>(std::max<int64_t>(width - text_width(cell), 0)), ' ');
  line += align == TextTable::Align::right ? blanks + cell : cell + blanks;
}

}  // namespace

std::string with_commas(int64_t value) {
  const uint64_t size = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  return (value < 0 ? "-" : "") + grouped(fmt::format("{}", size));
}

std::string with_commas(double value, int decimals) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (std::fabs(value) >= 1e15) return fmt::format("{:g}", value);
  const std::string digits = fmt::format("{:.{}f}", std::fabs(value), decimals);
  const bool zero = digits.find_first_not_of("0.") == std::string::npos;  // no "-0.00"
  return (value < 0 && !zero ? "-" : "") + grouped(digits);
}

std::string bytes_text(int64_t bytes) {
  static constexpr std::array<const char*, 7> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double size = std::fabs(static_cast<double>(bytes));
  size_t unit = 0;
  // 1023.6 KiB would be written as 1024 KiB: go by what is written.
  while (unit + 1 < kUnits.size() && std::round(size) >= 1024) size /= 1024, ++unit;
  const bool tenths = unit > 0 && std::round(size * 10) < 100;
  return fmt::format("{}{:.{}f} {}", bytes < 0 ? "-" : "", size, tenths ? 1 : 0, kUnits[unit]);
}

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e12) return "?";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  const int64_t days = whole / 86400, hours = whole / 3600 % 24, minutes = whole / 60 % 60, rest = whole % 60;
  if (days > 0) return fmt::format("{} d {:02}:{:02}:{:02}", days, hours, minutes, rest);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, rest);
  return fmt::format("{}:{:02}", minutes, rest);
}

std::string bar_text(double value, double max, int width, bool utf8) {
  if (!(value > 0) || !(max > 0) || width <= 0) return "";
  const double share = std::isinf(value) ? 1 : std::min(value / max, 1.0);
  if (!utf8) return std::string(static_cast<size_t>(std::lround(share * width)), '#');
  static constexpr std::array<const char*, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = std::lround(share * width * 8);
  std::string out;
  for (long i = 0; i < eighths / 8; ++i) out += "█";
  return out + kEighths[static_cast<size_t>(eighths % 8)];
}

int64_t text_width(std::string_view utf8) {
  int64_t width = 0;
  for (; !utf8.empty(); utf8.remove_prefix(code_point_bytes(utf8))) ++width;
  return width;
}

std::string cut_to_width(std::string_view utf8, int64_t width, std::string_view mark) {
  if (text_width(utf8) <= width) return std::string(utf8);
  const int64_t kept = std::max<int64_t>(width - text_width(mark), 0);
  size_t bytes = 0;
  for (int64_t i = 0; i < kept; ++i) bytes += code_point_bytes(utf8.substr(bytes));
  std::string out(utf8.substr(0, bytes));
  return width >= text_width(mark) ? out.append(mark) : out;
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string lower(value);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

std::string TextTable::text(int indent) const {
  std::vector<int64_t> widths;
  for (const auto& column : columns) widths.push_back(text_width(column.name));
  const bool headed = std::any_of(columns.begin(), columns.end(), [](const Column& column) { return !column.name.empty(); });
  for (const auto& row : rows) {
    LV_CHECK(row.size() <= columns.size(), "[table] a row has {} cells; the table has {} columns", row.size(), columns.size());
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], text_width(row[i]));
  }
  const auto line = [&](auto&& cell) {
    std::string out(static_cast<size_t>(std::max(indent, 0)), ' ');
    for (size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) out += "  ";
      append_padded(out, cell(i), widths[i], columns[i].align);
    }
    return out.erase(out.find_last_not_of(' ') + 1) + '\n';
  };
  std::string out;
  if (headed) out += line([&](size_t i) { return columns[i].name; });
  for (const auto& row : rows) out += line([&](size_t i) { return i < row.size() ? row[i] : std::string(); });
  return out;
}

}  // namespace longview
