#include "longview/checkpoint/gguf_tokenizer_keys.h"

#include <algorithm>
#include <unordered_map>

#include "longview/base/check.h"

namespace longview {
namespace {

constexpr std::pair<std::string_view, std::string_view> kPre[] = {
    {"gpt-2", "gpt-2"}, {"smollm", "smollm"}, {"llama-3", "llama-bpe"}, {"qwen2", "qwen2"}};

int64_t type_of(TokenKind kind) {
  switch (kind) {
    case TokenKind::normal: return 1;
    case TokenKind::unknown: return 2;
    case TokenKind::control: return 3;
    case TokenKind::user: return 4;
    case TokenKind::unused: return 5;
    case TokenKind::byte: return 6;
  }
  return 1;
}

std::vector<std::string> merge_lines(const TokenizerSpec& spec) {
  std::vector<std::string> out;
  for (const auto& [left, right] : spec.merges) out.push_back(fmt::format("{} {}", left, right));
  return out;
}

/// Of merges in their order: the earlier a token is merged, the higher its score.
std::vector<double> scores_of(const TokenizerSpec& spec) {
  if (!spec.scores.empty()) return {spec.scores.begin(), spec.scores.end()};
  std::unordered_map<std::string, double> first;
  for (size_t line = 0; line < spec.merges.size(); ++line)
    first.try_emplace(spec.merges[line].first + spec.merges[line].second, -static_cast<double>(line));
  std::vector<double> out;
  for (const auto& token : spec.tokens) {
    const auto found = first.find(token);
    out.push_back(found == first.end() ? -static_cast<double>(spec.merges.size()) : found->second);
  }
  return out;
}

}  // namespace

void add_tokenizer_keys(Gguf& plan, const TokenizerSpec& spec, int64_t vocabulary) {
  const bool is_bpe = spec.model == "bpe";
  LV_CHECK(is_bpe || (spec.model == "spm" && spec.split.empty()),
           "[convert] GGUF has no words for a tokenizer '{}' with the split '{}'", spec.model, spec.split);
  auto& keys = plan.metadata;
  const std::string at = "tokenizer.ggml.";
  std::vector<std::string> tokens = spec.tokens;
  std::vector<int64_t> types;
  for (size_t id = 0; id < tokens.size(); ++id) types.push_back(type_of(spec.kinds.empty() ? TokenKind::normal : spec.kinds[id]));
  for (auto id = static_cast<int64_t>(tokens.size()); id < vocabulary; ++id) {
    tokens.push_back(fmt::format("[PAD{}]", id));
    types.push_back(type_of(TokenKind::unused));
  }
  keys[at + "model"] = std::string(is_bpe ? "gpt2" : "llama");
  if (is_bpe) {
    for (const auto& [split, pre] : kPre)
      if (split == spec.split) keys[at + "pre"] = std::string(pre);
    keys[at + "merges"] = merge_lines(spec);
  } else {
    auto scores = scores_of(spec);
    scores.resize(tokens.size(), -1e6);
    keys[at + "pre"] = std::string("default");
    keys[at + "scores"] = scores;
  }
  keys[at + "add_space_prefix"] = spec.add_space_prefix;
  keys[at + "tokens"] = tokens;
  keys[at + "token_type"] = types;
  const auto special = [&](const char* name, Id id) {
    if (id >= 0) keys[at + name] = static_cast<int64_t>(id);
  };
  special("bos_token_id", spec.bos);
  special("eos_token_id", spec.eos);
  special("unknown_token_id", spec.unk);
  special("padding_token_id", spec.pad);
  std::vector<Id> others;  // stops that no reader would find by their names
  const auto found = find_stops(spec);
  std::copy_if(spec.stops.begin(), spec.stops.end(), std::back_inserter(others),
               [&](Id id) { return std::find(found.begin(), found.end(), id) == found.end(); });
  LV_CHECK(others.size() <= 2, "[convert] GGUF has no words for {} tokens that end a text", spec.stops.size());
  if (!others.empty()) special("eot_token_id", others[0]);
  if (others.size() > 1) special("eom_token_id", others[1]);
  keys[at + "add_bos_token"] = spec.add_bos;
  keys[at + "add_eos_token"] = spec.add_eos;
  if (!spec.chat_template.empty()) keys["tokenizer.chat_template"] = spec.chat_template;
}

}  // namespace longview
