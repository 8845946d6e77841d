// Tokenizers as GGUF files hold them ("tokenizer.ggml.*"); what each key means when it is absent is llama.cpp's (llama-vocab.cpp).
#include <algorithm>

#include "longview/base/names.h"
#include "longview/checkpoint/gguf_keys.h"

namespace longview {
namespace {

// tokenizer.ggml.pre to our splits. Names on one line share one split in llama.cpp, too.
constexpr std::pair<std::string_view, std::string_view> kSplits[] = {
    {"default", "gpt-2"},  {"gpt-2", "gpt-2"},           {"gpt2", "gpt-2"},        {"phi-2", "gpt-2"},
    {"smollm", "smollm"},  {"starcoder", "smollm"},      {"refact", "smollm"},     {"codeshell", "smollm"},
    {"llama3", "llama-3"}, {"llama-v3", "llama-3"},      {"llama-bpe", "llama-3"}, {"llama-3", "llama-3"},
    {"qwen2", "qwen2"},    {"deepseek-r1-qwen", "qwen2"}};

std::string split_of(const std::string& pre, const std::string& where) {
  std::vector<std::string> known;
  for (const auto& [name, split] : kSplits) {
    if (name == pre) return std::string(split);
    known.emplace_back(name);
  }
  fail("[gguf] {}: {}", where, unknown_name("pre-tokenizer (tokenizer.ggml.pre)", pre, known));
}

std::vector<TokenKind> kinds_of(const std::vector<int64_t>& types, size_t tokens, const std::string& where) {
  if (types.empty()) return std::vector<TokenKind>(tokens, TokenKind::normal);
  LV_CHECK(types.size() == tokens, "[gguf] {}: {} token types for {} tokens", where, types.size(), tokens);
  constexpr TokenKind kKinds[] = {TokenKind::normal, TokenKind::normal, TokenKind::unknown, TokenKind::control,
                                  TokenKind::user,   TokenKind::unused, TokenKind::byte};
  std::vector<TokenKind> out;
  out.reserve(types.size());
  for (const int64_t type : types) {
    LV_CHECK(type >= 0 && type <= 6, "[gguf] {}: token type {}; known are 0 to 6", where, type);
    out.push_back(kKinds[type]);
  }
  return out;
}

Id special(const GgufKeys& keys, const char* name, size_t tokens, const std::string& where) {
  const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
  const int64_t id = keys.integer(key).value_or(-1);
  if (id == -1 || id == UINT32_MAX) return -1;  // both are ways to write "none"
  LV_CHECK(id >= 0 && id < static_cast<int64_t>(tokens), "[gguf] {}: '{}' is {}; the vocabulary has {} tokens", where, key, id,
           tokens);
  return static_cast<Id>(id);
}

void read_merges(TokenizerSpec& spec, const GgufKeys& keys, const std::string& where) {
  const auto merges = keys.many<std::string>("tokenizer.ggml.merges", "a list of texts");
  spec.merges.reserve(merges.size());
  for (const auto& merge : merges) {
    const size_t space = merge.find(' ', 1);  // a first part may itself begin with one
    LV_CHECK(space != std::string::npos && space + 1 < merge.size(), "[gguf] {}: merge '{}' is not two parts with a space between",
             where, merge);
    spec.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
}

void set_stops(TokenizerSpec& spec, const GgufKeys& keys, const std::string& where) {
  spec.stops = find_stops(spec);
  for (const char* name : {"eos", "eot", "eom"})
    if (const Id id = special(keys, name, spec.tokens.size(), where); id >= 0) spec.stops.push_back(id);
  std::sort(spec.stops.begin(), spec.stops.end());
  spec.stops.erase(std::unique(spec.stops.begin(), spec.stops.end()), spec.stops.end());
}

}  // namespace

TokenizerSpec tokenizer_from_gguf(const Gguf& gguf, const std::string& where) {
  const GgufKeys keys(gguf, where);
  const auto model = keys.text("tokenizer.ggml.model");
  LV_CHECK(model, "[gguf] {}: has no tokenizer ('tokenizer.ggml.model' is missing)", where);
  LV_CHECK(*model == "gpt2" || *model == "llama", "[gguf] {}: unknown tokenizer '{}' (tokenizer.ggml.model); known: gpt2 and llama",
           where, *model);
  const bool bpe = *model == "gpt2";
  TokenizerSpec spec;
  spec.model = bpe ? "bpe" : "spm";
  spec.tokens = keys.many<std::string>("tokenizer.ggml.tokens", "a list of texts");
  LV_CHECK(!spec.tokens.empty(), "[gguf] {}: 'tokenizer.ggml.tokens' is missing or empty", where);
  spec.kinds = kinds_of(keys.many<int64_t>("tokenizer.ggml.token_type", "a list of whole numbers"), spec.tokens.size(), where);
  if (bpe) {
    spec.split = split_of(keys.text("tokenizer.ggml.pre").value_or("default"), where);
    spec.nfc = spec.split == "qwen2";
    spec.ignore_merges = spec.split == "llama-3";
    read_merges(spec, keys, where);
  } else {
    const auto scores = keys.many<double>("tokenizer.ggml.scores", "a list of numbers");
    LV_CHECK(scores.size() == spec.tokens.size(), "[gguf] {}: {} scores for {} tokens", where, scores.size(), spec.tokens.size());
    spec.scores.assign(scores.begin(), scores.end());
  }
  spec.bos = special(keys, "bos", spec.tokens.size(), where);
  spec.eos = special(keys, "eos", spec.tokens.size(), where);
  spec.unk = special(keys, "unknown", spec.tokens.size(), where);
  spec.pad = special(keys, "padding", spec.tokens.size(), where);
  set_stops(spec, keys, where);
  spec.add_bos = spec.bos >= 0 && keys.truth("tokenizer.ggml.add_bos_token").value_or(!bpe || spec.split == "llama-3");
  spec.add_eos = spec.eos >= 0 && keys.truth("tokenizer.ggml.add_eos_token").value_or(false);
  spec.add_space_prefix = !bpe && keys.truth("tokenizer.ggml.add_space_prefix").value_or(true);
  spec.chat_template = keys.text("tokenizer.chat_template").value_or("");
  return spec;
}

}  // namespace longview
