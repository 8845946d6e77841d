// Reading tokenizer.json: values with our errors, and its steps (normalizer, pre-tokenizer). Not for use outside this folder.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "longview/text/tokenizer.h"

namespace longview {

/// Keys sorted: base/json.h keeps the order of keys, which takes quadratic time for a vocabulary.
using JsonValue = nlohmann::json;

/// A file's name and typed access to its values. Absent and null are the same. All throw Error on a value of another type.
struct JsonFile {
  std::string where;

  JsonValue parse(std::string_view text) const;
  const JsonValue* find(const JsonValue& value, const char* key) const;
  const JsonValue& object(const JsonValue& value, const char* key) const;
  const JsonValue& list(const JsonValue& value, const char* key) const;
  std::string text(const JsonValue& value, const char* key, std::string otherwise) const;
  bool flag(const JsonValue& value, const char* key, bool otherwise) const;
  /// A whole number of [0, most); `what` names it in the message.
  Id id(const JsonValue& value, size_t most, const std::string& what) const;
};

/// What normalizer and pre_tokenizer say: model, split, nfc and the space prefix.
void read_steps(const JsonFile& file, const JsonValue& root, TokenizerSpec& spec);

}  // namespace longview
