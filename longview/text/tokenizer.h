// The contract of a tokenizer, and what a checkpoint says of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longview {

using Id = int32_t;

enum class TokenKind : uint8_t { normal, unknown, control, user, unused, byte };

/// What a checkpoint says of its tokenizer, whichever file it came from (GGUF metadata, tokenizer.json, llama2.c's .bin).
struct TokenizerSpec {
  std::string model;                // "byte", "bpe" (byte-level) or "spm" (SentencePiece-style BPE with byte fallback)
  std::string split;                // pre-tokenizer of "bpe": a name of split_names()
  std::vector<std::string> tokens;  // by id, spelled as the file spells them (byte-level alphabet, U+2581 for a space)
  std::vector<TokenKind> kinds;     // by id
  std::vector<std::pair<std::string, std::string>> merges;  // "bpe", and "spm" from tokenizer.json: first is merged first
  std::vector<float> scores;        // "spm" from GGUF or llama2.c: the highest score is merged first
  Id bos = -1, eos = -1, unk = -1, pad = -1;
  std::vector<Id> stops;            // every token that ends a turn: eos, <|im_end|>, <|eot_id|>, ...
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = false;    // "spm": a space before the text
  bool nfc = false;                 // normalise to NFC first (Qwen)
  std::string chat_template;        // Jinja as the checkpoint has it; "" if none
};

/// How "<|im_end|>" written in a text is read: as the special token (prompts), or as the characters it is (documents).
enum class Specials { parse, plain };

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual const TokenizerSpec& spec() const = 0;
  virtual int64_t size() const = 0;
  /// Ids of `text`, handed to `take` in runs as they are made: memory does not grow with the text. No BOS or EOS is added.
  /// Time is linear or n log n. Bytes that are not UTF-8 keep their values: decode gives them back.
  virtual void encode(std::string_view text, Specials specials, const std::function<void(std::span<const Id>)>& take) const = 0;
  /// The bytes of one token inside a text (may be a part of a UTF-8 character). Control tokens give "" unless `with_control`.
  virtual std::string bytes(Id id, bool with_control = false) const = 0;

  std::vector<Id> encode(std::string_view text, Specials specials = Specials::plain) const;
  /// Bytes of a run of ids; undoes the space prefix of "spm" at its start.
  std::string decode(std::span<const Id> ids, bool with_control = false) const;
};

/// The pre-tokenizers "bpe" knows: gpt-2, llama-3, qwen2, smollm.
std::vector<std::string> split_names();

/// Throws on an unknown model or split, on merges or scores that do not fit the tokens.
std::unique_ptr<Tokenizer> make_tokenizer(TokenizerSpec spec);

/// Hugging Face's tokenizer.json (with tokenizer_config.json's text, or "", for BOS, EOS and the chat template).
TokenizerSpec tokenizer_from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json, std::string_view where);

/// llama2.c's tokenizer (tok512.bin): `vocabulary` scored strings.
TokenizerSpec tokenizer_from_llama2c(std::span<const uint8_t> bytes, int64_t vocabulary, std::string_view where);

}  // namespace longview
