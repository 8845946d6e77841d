// The reader is tokenizer_json.cpp; what it reads from here is the same tokenizer again.
#include "longview/text/tokenizer_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>

#include "longview/base/check.h"
#include "longview/text/split.h"

namespace longview {
namespace {

using Object = nlohmann::ordered_json;

constexpr const char* kWordStart = "\xE2\x96\x81";  // U+2581

bool is_special_kind(TokenKind kind) { return kind == TokenKind::control || kind == TokenKind::user || kind == TokenKind::unknown; }

TokenKind kind_of(const TokenizerSpec& spec, size_t id) { return spec.kinds.empty() ? TokenKind::normal : spec.kinds[id]; }

/// Ids by token, the first of those that are spelled alike. Tokens that no text can give may repeat one; others may not.
std::unordered_map<std::string_view, Id> ids_of(const TokenizerSpec& spec) {
  std::unordered_map<std::string_view, Id> out;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& token = spec.tokens[id];
    if (token.empty()) continue;
    const bool is_first = out.try_emplace(token, static_cast<Id>(id)).second;
    LV_CHECK(is_first || kind_of(spec, id) == TokenKind::unused,
             "[convert] the tokens {} and {} are both '{}', which tokenizer.json cannot say", out[token], id, token);
  }
  return out;
}

Object added_tokens(const TokenizerSpec& spec) {
  Object out = Object::array();
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const TokenKind kind = kind_of(spec, id);
    if (!is_special_kind(kind) || spec.tokens[id].empty()) continue;
    const auto taker = std::find_if(spec.space_takers.begin(), spec.space_takers.end(),
                                    [&](const SpaceTaker& one) { return one.id == static_cast<Id>(id); });
    const bool takes = taker != spec.space_takers.end();
    out.push_back({{"id", id},
                   {"content", spec.tokens[id]},
                   {"single_word", false},
                   {"lstrip", takes && taker->left},
                   {"rstrip", takes && taker->right},
                   {"normalized", false},
                   {"special", kind != TokenKind::user}});
  }
  return out;
}

Object normalizer(const TokenizerSpec& spec) {
  if (spec.nfc) return {{"type", "NFC"}};
  const bool is_metaspace = spec.space_prefix != SpacePrefix::each || spec.split == "metaspace";
  if (spec.model == "bpe" || is_metaspace) return nullptr;
  Object steps = Object::array();
  if (spec.add_space_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kWordStart}});
  steps.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kWordStart}});
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

Object byte_level(bool splits) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", splits}};
}

Object pre_tokenizer(const TokenizerSpec& spec) {
  if (spec.model == "spm") {
    if (spec.space_prefix == SpacePrefix::each && spec.split.empty()) return nullptr;
    const char* first = spec.space_prefix == SpacePrefix::first_unless_space ? "first" : "always";
    return {{"type", "Metaspace"},
            {"replacement", kWordStart},
            {"prepend_scheme", spec.add_space_prefix ? first : "never"},
            {"split", spec.split == "metaspace"}};
  }
  if (spec.split == "gpt-2") return byte_level(true);
  Object step = {{"type", "Digits"}, {"individual_digits", true}};
  const bool is_digits = spec.split == "smollm";
  if (!is_digits)
    step = {{"type", "Split"}, {"pattern", {{"Regex", regex_of_split(spec.split)}}}, {"behavior", "Isolated"}, {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", Object::array({step, byte_level(is_digits)})}};
}

Object post_processor(const TokenizerSpec& spec) {
  const Object first = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  Object single = Object::array(), pair = Object::array(), special = Object::object();
  const auto add = [&](Object& to, Id id, int type) {
    const std::string& token = spec.tokens.at(static_cast<size_t>(id));
    to.push_back({{"SpecialToken", {{"id", token}, {"type_id", type}}}});
    special[token] = {{"id", token}, {"ids", Object::array({id})}, {"tokens", Object::array({token})}};
  };
  const auto text = [&](Object& to, const Object& sequence, int type) {
    if (spec.add_bos) add(to, spec.bos, type);
    to.push_back(sequence);
    if (spec.add_eos) add(to, spec.eos, type);
  };
  if (!spec.add_bos && !spec.add_eos) {
    if (spec.model == "spm") return nullptr;
    return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  }
  text(single, first, 0);
  text(pair, first, 0);
  text(pair, second, 1);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

Object decoder(const TokenizerSpec& spec) {
  if (spec.model == "bpe") return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  Object steps = Object::array({{{"type", "Replace"}, {"pattern", {{"String", kWordStart}}}, {"content", " "}},
                                {{"type", "ByteFallback"}},
                                {{"type", "Fuse"}}});
  if (spec.add_space_prefix) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

struct ScoredMerge {
  float score;
  std::string_view left, right;
};

/// transformers' generate_merges: of equal scores the longer left part first.
std::vector<ScoredMerge> merges_of_scores(const TokenizerSpec& spec, const std::unordered_map<std::string_view, Id>& ids) {
  const auto merges_with = [&](std::string_view token) {
    const auto found = ids.find(token);
    if (found == ids.end()) return false;
    const TokenKind kind = kind_of(spec, static_cast<size_t>(found->second));
    return kind == TokenKind::normal || kind == TokenKind::unused;
  };
  std::vector<ScoredMerge> out;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string_view token = spec.tokens[id];
    if (!merges_with(token)) continue;
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const bool is_inside = (static_cast<uint8_t>(token[cut]) & 0xC0) == 0x80;  // of a character
      if (!is_inside && merges_with(token.substr(0, cut)) && merges_with(token.substr(cut)))
        out.push_back({spec.scores[id], token.substr(0, cut), token.substr(cut)});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const ScoredMerge& a, const ScoredMerge& b) {
    return std::tuple(a.score, a.left.size(), a.right.size()) > std::tuple(b.score, b.left.size(), b.right.size());
  });
  return out;
}

/// Written by hand, since an object that keeps its order takes quadratic time for a vocabulary.
std::string model(const TokenizerSpec& spec) {
  const bool is_spm = spec.model == "spm";
  const auto ids = ids_of(spec);
  Object head = {{"type", "BPE"},
                 {"dropout", nullptr},
                 {"unk_token", is_spm && spec.unk >= 0 ? Object(spec.tokens[static_cast<size_t>(spec.unk)]) : Object()},
                 {"continuing_subword_prefix", nullptr},
                 {"end_of_word_suffix", nullptr},
                 {"fuse_unk", is_spm},
                 {"byte_fallback", is_spm},
                 {"ignore_merges", spec.ignore_merges}};
  std::string out = head.dump();
  out.pop_back();
  out += ",\n\"vocab\":{";
  const char* comma = "";
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const auto found = ids.find(spec.tokens[id]);
    if (found == ids.end() || found->second != static_cast<Id>(id)) continue;
    out += comma + Object(spec.tokens[id]).dump() + ":" + std::to_string(id);
    comma = ",\n";
  }
  out += "},\n\"merges\":[";
  comma = "";
  const auto add = [&](std::string_view left, std::string_view right) {
    out += comma + Object::array({left, right}).dump();
    comma = ",\n";
  };
  if (spec.scores.empty())
    for (const auto& [left, right] : spec.merges) add(left, right);
  else
    for (const auto& merge : merges_of_scores(spec, ids)) add(merge.left, merge.right);
  return out + "]}";
}

template <class Run>
std::string written(const Run& run) {
  try {
    return run();
  } catch (const nlohmann::json::exception&) {
    fail("[convert] a token or the chat template is not UTF-8, which JSON cannot hold");
  }
}

}  // namespace

std::string tokenizer_to_json(const TokenizerSpec& spec) {
  LV_CHECK(spec.model == "bpe" || spec.model == "spm", "[convert] a tokenizer of the kind '{}' has no tokenizer.json", spec.model);
  return written([&] {
    std::string out = "{\n\"version\":\"1.0\",\n\"truncation\":null,\n\"padding\":null";
    const auto add = [&](const char* key, const std::string& value) { out += fmt::format(",\n\"{}\":{}", key, value); };
    add("added_tokens", added_tokens(spec).dump());
    add("normalizer", normalizer(spec).dump());
    add("pre_tokenizer", pre_tokenizer(spec).dump());
    add("post_processor", post_processor(spec).dump());
    add("decoder", decoder(spec).dump());
    add("model", model(spec));
    return out + "\n}\n";
  });
}

std::string tokenizer_config_to_json(const TokenizerSpec& spec, int64_t trained_length) {
  Object out = {{"tokenizer_class", "PreTrainedTokenizerFast"}};
  const auto name = [&](const char* key, Id id) {
    if (id >= 0) out[key] = spec.tokens.at(static_cast<size_t>(id));
  };
  name("bos_token", spec.bos);
  name("eos_token", spec.eos);
  name("unk_token", spec.unk);
  name("pad_token", spec.pad);
  out["add_bos_token"] = spec.add_bos;
  out["add_eos_token"] = spec.add_eos;
  out["clean_up_tokenization_spaces"] = false;
  if (trained_length > 0) out["model_max_length"] = trained_length;
  if (!spec.chat_template.empty()) out["chat_template"] = spec.chat_template;
  return written([&] { return out.dump(2) + "\n"; });
}

}  // namespace longview
