#include "longview/text/tokenizer.h"

#include <algorithm>

#include "longview/base/check.h"
#include "longview/base/names.h"
#include "longview/text/sections.h"

namespace longview {

void Tokenizer::encode(std::string_view text, Specials specials, const std::function<void(std::span<const Id>)>& take) const {
  const TextPart part{text, specials};
  encode(std::span(&part, 1), take);
}

std::vector<Id> Tokenizer::encode(std::string_view text, Specials specials) const {
  const TextPart part{text, specials};
  return encode(std::span(&part, 1));
}

std::vector<Id> Tokenizer::encode(std::span<const TextPart> parts) const {
  std::vector<Id> out;
  encode(parts, [&](std::span<const Id> ids) { out.insert(out.end(), ids.begin(), ids.end()); });
  return out;
}

std::string Tokenizer::decode(std::span<const Id> ids, bool with_control) const {
  std::string out;
  for (const Id id : ids) out += bytes(id, with_control);
  if (spec().add_space_prefix && !out.empty() && out.front() == ' ') out.erase(0, 1);
  return out;
}

std::vector<Id> find_stops(const TokenizerSpec& spec) {
  static const std::vector<std::string> names = {"<|im_end|>",    "<|eot_id|>",      "<|eom_id|>",    "<|end|>",
                                                 "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "</s>"};
  std::vector<Id> out;
  if (spec.eos >= 0) out.push_back(spec.eos);
  for (size_t id = 0; id < spec.tokens.size() && id < spec.kinds.size(); ++id) {
    const bool special =
        spec.kinds[id] != TokenKind::normal && spec.kinds[id] != TokenKind::byte && spec.kinds[id] != TokenKind::unused;
    if (special && static_cast<Id>(id) != spec.eos && std::find(names.begin(), names.end(), spec.tokens[id]) != names.end())
      out.push_back(static_cast<Id>(id));
  }
  return out;
}

std::unique_ptr<Tokenizer> make_tokenizer(TokenizerSpec spec) {
  static const std::vector<std::string> models = {"byte", "bpe", "spm"};
  if (spec.model == "byte") return make_byte_tokenizer(std::move(spec));
  if (spec.model == "bpe") return make_byte_pair_tokenizer(std::move(spec));
  if (spec.model == "spm") return make_sentence_piece_tokenizer(std::move(spec));
  throw Error("[tokenizer] " + unknown_name("tokenizer model", spec.model, models));
}

}  // namespace longview
