#include "longview/base/fields.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace longview {

Setting parse_setting(std::string_view text) {
  Setting out;
  const size_t colon = text.find(':');
  out.name = text.substr(0, colon);
  LV_CHECK(!out.name.empty(), "[setting] '{}' has no name; write NAME or NAME:key=value,key=value", text);
  if (colon == std::string_view::npos) return out;
  std::string_view rest = text.substr(colon + 1);
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    const size_t equals = part.find('=');
    LV_CHECK(equals != std::string_view::npos && equals > 0, "[{}] '{}' is not key=value (in '{}')", out.name, part, text);
    const bool is_first = out.values.emplace(part.substr(0, equals), part.substr(equals + 1)).second;
    LV_CHECK(is_first, "[{}] '{}' is given twice (in '{}')", out.name, part.substr(0, equals), text);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return out;
}

int64_t to_int(std::string_view where, std::string_view key, std::string_view text) {
  int64_t unit = 1;
  std::string_view digits = text;
  if (!digits.empty() && (digits.back() == 'k' || digits.back() == 'K')) unit = 1024, digits.remove_suffix(1);
  else if (!digits.empty() && digits.back() == 'M') unit = 1024 * 1024, digits.remove_suffix(1);
  else if (!digits.empty() && digits.back() == 'G') unit = 1024 * 1024 * 1024, digits.remove_suffix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  LV_CHECK(error == std::errc{} && end == digits.data() + digits.size() && !digits.empty(),
           "[{}] {} must be a whole number (k, M and G allowed); got '{}'", where, key, text);
  LV_CHECK(value <= std::numeric_limits<int64_t>::max() / unit && value >= std::numeric_limits<int64_t>::min() / unit,
           "[{}] {} is too large; got '{}'", where, key, text);
  return value * unit;
}

double to_real(std::string_view where, std::string_view key, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  LV_CHECK(error == std::errc{} && end == text.data() + text.size() && std::isfinite(value),
           "[{}] {} must be a finite number; got '{}'", where, key, text);
  return value;
}

std::string setting_text(std::string_view name, const std::vector<FieldText>& fields) {
  std::string out(name);
  for (size_t i = 0; i < fields.size(); ++i) out += fmt::format("{}{}={}", i == 0 ? ":" : ",", fields[i].name, fields[i].value);
  return out;
}

std::string setting_text(const Setting& setting) {
  std::vector<FieldText> fields;
  for (const auto& [key, value] : setting.values) fields.push_back({key, value, ""});
  return setting_text(setting.name, fields);
}

bool to_bool(std::string_view where, std::string_view key, std::string_view text) {
  const bool is_true = text == "true" || text == "1";
  LV_CHECK(is_true || text == "false" || text == "0", "[{}] {} must be true or false; got '{}'", where, key, text);
  return is_true;
}

}  // namespace longview
