// The steps of a tokenizer.json that we know: NFC; Prepend and Replace of U+2581; Metaspace; ByteLevel, alone, after Digits, or
// after a Split by one of the expressions in split.cpp.
#include <algorithm>

#include "longview/base/check.h"
#include "longview/text/split.h"
#include "longview/text/tokenizer_json.h"

namespace longview {
namespace {

constexpr const char* kSpace = "\xE2\x96\x81";  // U+2581

// The steps of a Sequence, or the one step, or none.
std::vector<const JsonValue*> flattened(const JsonFile& file, const JsonValue* step, const char* list) {
  if (!step) return {};
  if (file.text(*step, "type", "") != "Sequence") return {step};
  std::vector<const JsonValue*> out;
  for (const JsonValue& one : file.list(*step, list)) {
    const auto inner = flattened(file, &one, list);
    out.insert(out.end(), inner.begin(), inner.end());
  }
  return out;
}

// The String or Regex a step looks for.
std::string pattern(const JsonFile& file, const JsonValue& step, const char* kind) {
  return file.text(file.object(step, "pattern"), kind, "");
}

struct Spaces {
  bool replaced = false, prepended = false;
};

Spaces read_normalizer(const JsonFile& file, const JsonValue& root, TokenizerSpec& spec) {
  Spaces spaces;
  for (const JsonValue* step : flattened(file, file.find(root, "normalizer"), "normalizers")) {
    const std::string type = file.text(*step, "type", "");
    if (type == "NFC") {
      spec.nfc = true;
    } else if (type == "Prepend" && file.text(*step, "prepend", "") == kSpace) {
      spaces.prepended = true;
    } else if (type == "Replace" && pattern(file, *step, "String") == " " && file.text(*step, "content", "") == kSpace) {
      spaces.replaced = true;
    } else {
      fail("[tokenizer] {}: normalizer {} is not known; known: NFC, Prepend and Replace of U+2581", file.where,
           step->dump(-1, ' ', true, JsonValue::error_handler_t::replace));
    }
  }
  return spaces;
}

void read_metaspace(const JsonFile& file, const JsonValue& step, TokenizerSpec& spec) {
  const std::string replacement = file.text(step, "replacement", kSpace);
  LV_CHECK(replacement == kSpace, "[tokenizer] {}: Metaspace with '{}' is not known; known: U+2581", file.where, replacement);
  const bool adds = file.flag(step, "add_prefix_space", true);  // files of before 2024 have only this
  const std::string scheme = file.text(step, "prepend_scheme", adds ? "always" : "never");
  LV_CHECK(scheme == "always" || scheme == "first" || scheme == "never", "[tokenizer] {}: prepend_scheme '{}' is not known",
           file.where, scheme);
  spec.add_space_prefix = scheme != "never";
  spec.space_prefix = scheme == "first" ? SpacePrefix::first_unless_space : SpacePrefix::each_unless_space;
  if (file.flag(step, "split", true)) spec.split = "metaspace";
}

// The name of the pre-tokenizer that stands before ByteLevel; "" if it is not known.
std::string split_before(const JsonFile& file, const JsonValue& step, bool byte_level_splits) {
  const std::string type = file.text(step, "type", "");
  if (type == "Digits" && byte_level_splits && file.flag(step, "individual_digits", false)) return "smollm";
  if (type != "Split" || byte_level_splits) return "";
  const std::string behavior = file.text(step, "behavior", "");
  const bool inverted = file.flag(step, "invert", false);
  // Both give the matches: the expressions leave nothing between two of them.
  const bool gives_matches = (behavior == "Isolated" && !inverted) || (behavior == "Removed" && inverted);
  return gives_matches ? split_of_regex(pattern(file, step, "Regex")) : "";
}

std::string described(const std::vector<const JsonValue*>& steps) {
  std::string out;
  for (const JsonValue* step : steps)
    out += (out.empty() ? "" : ", ") + step->dump(-1, ' ', true, JsonValue::error_handler_t::replace);
  return out.empty() ? "none" : out;
}

}  // namespace

void read_steps(const JsonFile& file, const JsonValue& root, TokenizerSpec& spec) {
  const Spaces spaces = read_normalizer(file, root, spec);
  const auto steps = flattened(file, file.find(root, "pre_tokenizer"), "pretokenizers");
  const auto type = [&](size_t at) { return file.text(*steps[at], "type", ""); };
  if (!steps.empty() && type(steps.size() - 1) == "ByteLevel") {
    const JsonValue& last = *steps.back();
    LV_CHECK(!file.flag(last, "add_prefix_space", true), "[tokenizer] {}: ByteLevel with add_prefix_space is not known",
             file.where);
    LV_CHECK(!spaces.replaced && !spaces.prepended, "[tokenizer] {}: ByteLevel with a normalizer of U+2581 is not known",
             file.where);
    const bool splits = file.flag(last, "use_regex", true);
    spec.model = "bpe";
    if (steps.size() == 1 && splits) spec.split = "gpt-2";
    if (steps.size() == 2) spec.split = split_before(file, *steps[0], splits);
    LV_CHECK(!spec.split.empty(),
             "[tokenizer] {}: this pre-tokenizer is not known: {}; known are those of GPT-2, Llama 3, Qwen2 and SmolLM", file.where,
             described(steps));
    return;
  }
  spec.model = "spm";
  LV_CHECK(!spec.nfc, "[tokenizer] {}: NFC without ByteLevel is not known", file.where);
  spec.add_space_prefix = spaces.prepended;
  if (steps.size() == 1 && type(0) == "Metaspace" && !spaces.replaced && !spaces.prepended)
    return read_metaspace(file, *steps[0], spec);
  LV_CHECK(steps.empty() && spaces.replaced,
           "[tokenizer] {}: this pre-tokenizer is not known: {}; known are ByteLevel, Metaspace, or none after Replace", file.where,
           described(steps));
}

JsonValue JsonFile::parse(std::string_view text) const {
  static constexpr int kDeepest = 200;
  try {
    return JsonValue::parse(text.begin(), text.end(), [](int depth, JsonValue::parse_event_t, JsonValue&) {
      LV_CHECK(depth <= kDeepest, "nests deeper than {}", kDeepest);
      return true;
    });
  } catch (const std::exception& error) {
    fail("[tokenizer] {}: {}", where, error.what());
  }
}

const JsonValue* JsonFile::find(const JsonValue& value, const char* key) const {
  LV_CHECK(value.is_object(), "[tokenizer] {}: expected an object with '{}'; got a {}", where, key, value.type_name());
  const auto found = value.find(key);
  return found == value.end() || found->is_null() ? nullptr : &*found;
}

const JsonValue& JsonFile::object(const JsonValue& value, const char* key) const {
  const JsonValue* found = find(value, key);
  LV_CHECK(found && found->is_object(), "[tokenizer] {}: '{}' must be an object", where, key);
  return *found;
}

const JsonValue& JsonFile::list(const JsonValue& value, const char* key) const {
  const JsonValue* found = find(value, key);
  LV_CHECK(found && found->is_array(), "[tokenizer] {}: '{}' must be a list", where, key);
  return *found;
}

std::string JsonFile::text(const JsonValue& value, const char* key, std::string otherwise) const {
  const JsonValue* found = find(value, key);
  LV_CHECK(!found || found->is_string(), "[tokenizer] {}: '{}' must be a string", where, key);
  return found ? found->get<std::string>() : std::move(otherwise);
}

bool JsonFile::flag(const JsonValue& value, const char* key, bool otherwise) const {
  const JsonValue* found = find(value, key);
  LV_CHECK(!found || found->is_boolean(), "[tokenizer] {}: '{}' must be true or false", where, key);
  return found ? found->get<bool>() : otherwise;
}

Id JsonFile::id(const JsonValue& value, size_t most, const std::string& what) const {
  const bool fits = value.is_number_unsigned() && value.get<uint64_t>() < most;
  LV_CHECK(fits, "[tokenizer] {}: the id {} must be a whole number below {}; got {}", where, what, most,
           value.dump(-1, ' ', true, JsonValue::error_handler_t::replace));
  return static_cast<Id>(value.get<uint64_t>());
}

}  // namespace longview
