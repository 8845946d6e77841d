// Typed look-up in GGUF metadata.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "longview/base/check.h"
#include "longview/checkpoint/gguf.h"

namespace longview {

/// Each getter gives nothing when the key is absent and throws "[gguf] <where>: ..." when its value is of another type.
class GgufKeys {
 public:
  GgufKeys(const Gguf& gguf, const std::string& where) : gguf_(gguf), where_(where) {}

  std::optional<int64_t> integer(const std::string& key) const { return value<int64_t>(key, "a whole number"); }
  std::optional<bool> truth(const std::string& key) const { return value<bool>(key, "yes or no"); }
  std::optional<std::string> text(const std::string& key) const { return value<std::string>(key, "text"); }
  std::optional<double> real(const std::string& key) const {
    const auto found = gguf_.metadata.find(key);
    if (found != gguf_.metadata.end() && std::holds_alternative<int64_t>(found->second))
      return static_cast<double>(std::get<int64_t>(found->second));
    return value<double>(key, "a number");
  }
  /// An array; an empty vector when the key is absent.
  template <class T>
  std::vector<T> many(const std::string& key, std::string_view kind) const {
    return value<std::vector<T>>(key, kind).value_or(std::vector<T>{});
  }
  /// A whole number, or an array of one for each layer which are all the same.
  std::optional<int64_t> same_in_all_layers(const std::string& key) const {
    const auto found = gguf_.metadata.find(key);
    if (found == gguf_.metadata.end() || !std::holds_alternative<std::vector<int64_t>>(found->second)) return integer(key);
    const auto& all = std::get<std::vector<int64_t>>(found->second);
    for (const int64_t one : all)
      LV_CHECK(one == all.front(), "[gguf] {}: '{}' differs between layers, which is not read", where_, key);
    LV_CHECK(!all.empty(), "[gguf] {}: '{}' is empty", where_, key);
    return all.front();
  }

 private:
  template <class T>
  std::optional<T> value(const std::string& key, std::string_view kind) const {
    const auto found = gguf_.metadata.find(key);
    if (found == gguf_.metadata.end()) return {};
    const T* held = std::get_if<T>(&found->second);
    LV_CHECK(held, "[gguf] {}: '{}' must be {}", where_, key, kind);
    return *held;
  }

  const Gguf& gguf_;
  const std::string& where_;
};

/// The tokenizer in a GGUF file's metadata.
TokenizerSpec tokenizer_from_gguf(const Gguf& gguf, const std::string& where);

}  // namespace longview
