// A config is an aggregate whose fields are listed once; flags, JSON, help and messages come from that list.
//
//   struct Window {
//     int64_t window = 1024;
//     void fields(auto&& field) { field("window", window, "tokens a query sees, itself included"); }
//   };
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "longview/base/check.h"
#include "longview/base/names.h"

namespace longview {

/// What a person wrote: "yarn:factor=4,original=8192" is name "yarn" and two values.
struct Setting {
  std::string name;
  std::map<std::string, std::string> values;
};

/// Parses NAME[:key=value,...]. Throws on an empty name, a repeated key or a part without '='.
Setting parse_setting(std::string_view text);

/// One field of a config as text: its name, value and help.
struct FieldText {
  std::string name, value, help;
};

/// Text to value; throws "[where] key must be a whole number; got 'x'". Whole numbers accept k, K, M and G as powers of 1024.
int64_t to_int(std::string_view where, std::string_view key, std::string_view text);
double to_real(std::string_view where, std::string_view key, std::string_view text);
bool to_bool(std::string_view where, std::string_view key, std::string_view text);  // true, false, 1, 0

/// The fields of a config as text, in their order.
template <class Config>
std::vector<FieldText> field_texts(Config config) {
  std::vector<FieldText> out;
  config.fields([&](const char* name, auto& value, const char* help) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) out.push_back({name, value, help});
    else out.push_back({name, fmt::format("{}", value), help});
  });
  return out;
}

/// Sets the named fields of a config from what was written; an unknown key is an error that lists the known ones.
template <class Config>
Config with_values(Config config, const Setting& setting) {
  std::vector<std::string> known;
  config.fields([&](const char* name, auto&, const char*) { known.emplace_back(name); });
  for (const auto& [key, text] : setting.values) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      LV_CHECK(!known.empty(), "[{}] takes no settings; got '{}'", setting.name, key);
      fail("[{}] {}", setting.name, unknown_name("setting", key, known));
    }
  }
  config.fields([&](const char* name, auto& value, const char*) {
    const auto found = setting.values.find(name);
    if (found == setting.values.end()) return;
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, std::string>) value = found->second;
    else if constexpr (std::is_same_v<T, bool>) value = to_bool(setting.name, name, found->second);
    else if constexpr (std::is_floating_point_v<T>) value = to_real(setting.name, name, found->second);
    else value = to_int(setting.name, name, found->second);
  });
  return config;
}

/// "yarn:factor=4,original=8192", parseable by parse_setting.
std::string setting_text(std::string_view name, const std::vector<FieldText>& fields);
std::string setting_text(const Setting& setting);

}  // namespace longview
