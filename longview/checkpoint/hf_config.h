// Typed look-up in a config.json, and what it says of a model.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "longview/base/check.h"
#include "longview/base/json.h"
#include "longview/checkpoint/config.h"

namespace longview {

/// Each getter gives nothing when the key is absent or null and throws "[checkpoint] <where>: ..." when its value has another type.
class JsonKeys {
 public:
  JsonKeys(const Json& object, const std::string& where) : object_(object), where_(where) {}

  bool has(const char* key) const { return object_.contains(key); }
  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::optional<int64_t> integer(const char* key) const {
    const Json* found = find(key);
    if (!found) return {};
    const bool fits = found->is_number_integer() && (!found->is_number_unsigned() || found->get<uint64_t>() <= INT64_MAX);
    LV_CHECK(fits, "[checkpoint] {}: '{}' must be a whole number", where_, key);
    return found->get<int64_t>();
  }
  int64_t needed(const char* key) const {
    const auto value = integer(key);
    LV_CHECK(value, "[checkpoint] {}: '{}' is missing", where_, key);
    return *value;
  }
  std::optional<double> real(const char* key) const {
    const Json* found = find(key);
    if (!found) return {};
    LV_CHECK(found->is_number(), "[checkpoint] {}: '{}' must be a number", where_, key);
    return found->get<double>();
  }
  /// A list of numbers; empty when the key is absent or null.
  std::vector<double> reals(const char* key) const {
    const Json* found = find(key);
    if (!found) return {};
    const bool is_list =
        found->is_array() && std::all_of(found->begin(), found->end(), [](const Json& x) { return x.is_number(); });
    LV_CHECK(is_list, "[checkpoint] {}: '{}' must be a list of numbers", where_, key);
    return found->get<std::vector<double>>();
  }
  std::optional<bool> truth(const char* key) const {
    const Json* found = find(key);
    if (!found) return {};
    LV_CHECK(found->is_boolean(), "[checkpoint] {}: '{}' must be true or false", where_, key);
    return found->get<bool>();
  }
  std::optional<std::string> text(const char* key) const {
    const Json* found = find(key);
    if (!found) return {};
    LV_CHECK(found->is_string(), "[checkpoint] {}: '{}' must be a text", where_, key);
    return found->get<std::string>();
  }

 private:
  const Json& object_;
  const std::string& where_;
};

/// All but name, storage, qkv_bias and qk_norm, which the folder and the tensors say. tied_head is false where the key is absent.
ModelConfig config_from_json(const Json& json, const std::string& where);

}  // namespace longview
