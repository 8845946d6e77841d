// Reading TOML with toml++, and writing it.
#include "longview/train/toml.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace longview {
namespace {

std::string at_line(const std::string& where, const toml::source_region& source) {
  return fmt::format("{}:{}", where, source.begin.line);
}

std::string value_text(const toml::node& node, const std::string& where, std::string_view key) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  const auto* list = node.as_array();
  LV_CHECK(list != nullptr, "[train] {}: '{}' must be a text, a number, true or false, or a list of these",
           at_line(where, node.source()), key);
  std::string out;
  for (const auto& one : *list) out += (out.empty() ? "" : ",") + value_text(one, where, key);
  return out;
}

Setting setting_of(std::string_view name, const toml::table& table, const std::string& where) {
  Setting out{std::string(name), {}};
  for (const auto& [key, value] : table) out.values[std::string(key.str())] = value_text(value, where, key.str());
  return out;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string unknown_table(const std::string& name, std::vector<std::string> once, const std::vector<std::string>& several) {
  once.insert(once.end(), several.begin(), several.end());
  return unknown_name("table", name, once);
}

}  // namespace

Tables read_tables(std::string_view text, const std::string& where, const std::vector<std::string>& once,
                   const std::vector<std::string>& several) {
  const toml::parse_result parsed = toml::parse(text, where);
  LV_CHECK(static_cast<bool>(parsed), "[train] {}: {}", at_line(where, parsed.error().source()), parsed.error().description());
  Tables out;
  for (const auto& [key, node] : parsed.table()) {
    const std::string name(key.str());
    const std::string line = at_line(where, node.source());
    if (!has(once, name) && !has(several, name)) fail("[train] {}: {}", line, unknown_table(name, once, several));
    if (const auto* table = node.as_table()) {
      out[name].push_back(setting_of(name, *table, where));
      continue;
    }
    const auto* list = node.as_array();
    LV_CHECK(list != nullptr && list->is_array_of_tables(), "[train] {}: '{}' must be a table: [{}]", line, name, name);
    LV_CHECK(has(several, name), "[train] {}: there is one [{}] only", line, name);
    for (const auto& one : *list) out[name].push_back(setting_of(name, *one.as_table(), where));
  }
  return out;
}

void override_value(Tables& tables, const std::string& assignment, const std::vector<std::string>& once,
                    const std::vector<std::string>& several) {
  const size_t equals = assignment.find('='), dot = assignment.find('.');
  LV_CHECK(equals != std::string::npos && dot != std::string::npos && dot < equals,
           "[train] --set takes table.key=value, such as train.steps=100; got '{}'", assignment);
  const std::string table = assignment.substr(0, dot);
  std::string key = assignment.substr(dot + 1, equals - dot - 1);
  if (!has(once, table) && !has(several, table)) fail("[train] --set {}: {}", assignment, unknown_table(table, once, several));
  size_t index = 0;
  if (has(several, table)) {
    const size_t second = key.find('.');
    LV_CHECK(second != std::string::npos, "[train] --set {}: say which [[{}]]: {}.0.{}=...", assignment, table, table, key);
    index = static_cast<size_t>(to_int("train", "--set", key.substr(0, second)));
    key = key.substr(second + 1);
    LV_CHECK(index < tables[table].size(), "[train] --set {}: there are {} [[{}]], counted from 0", assignment,
             tables[table].size(), table);
  } else if (tables[table].empty()) {
    tables[table].push_back({table, {}});
  }
  tables[table][index].values[key] = assignment.substr(equals + 1);
}

std::string toml_text(const Tables& tables, const std::vector<std::string>& several) {
  std::string out;
  for (const auto& [name, settings] : tables)
    for (const auto& setting : settings) {
      out += fmt::format(fmt::runtime(has(several, name) ? "[[{}]]\n" : "[{}]\n"), name);
      for (const auto& [key, value] : setting.values) {
        std::string text;
        for (const char c : value) text += c == '\\' ? "\\\\" : c == '"' ? "\\\"" : c == '\n' ? "\\n" : std::string(1, c);
        out += fmt::format("{} = \"{}\"\n", key, text);
      }
      out += "\n";
    }
  return out;
}

}  // namespace longview
