// The contract of a tokenizer, and what a checkpoint says of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace longview {

using Id = int32_t;

enum class TokenKind : uint8_t { normal, unknown, control, user, unused, byte };

/// Where "spm" puts the space before a text: before each stretch between special tokens; the same, unless a space is there
/// already; or only before a text that does not start with one.
enum class SpacePrefix : uint8_t { each, each_unless_space, first_unless_space };

/// A special token that takes the white space beside it (Hugging Face's lstrip and rstrip).
struct SpaceTaker {
  Id id = -1;
  bool left = false, right = false;
};

/// What a checkpoint says of its tokenizer, whichever file it came from (GGUF metadata, tokenizer.json, llama2.c's .bin).
struct TokenizerSpec {
  std::string model;                // "byte", "bpe" (byte-level) or "spm" (SentencePiece-style BPE with byte fallback)
  std::string split;                // "bpe": a name of split_names(); "spm": "" or "metaspace" (a cut before every space)
  std::vector<std::string> tokens;  // by id, spelled as the file spells them (byte-level alphabet, U+2581 for a space)
  std::vector<TokenKind> kinds;     // by id; empty if all are normal
  std::vector<std::pair<std::string, std::string>> merges;  // "bpe", and "spm" from tokenizer.json: first is merged first
  std::vector<float> scores;                                // "spm" from GGUF or llama2.c: the highest score is merged first
  Id bos = -1, eos = -1, unk = -1, pad = -1;
  std::vector<Id> stops;  // every token that ends a turn: eos, <|im_end|>, <|eot_id|>, ...; see find_stops
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = false;                 // "spm": a space before the text
  SpacePrefix space_prefix = SpacePrefix::each;  // where, if add_space_prefix
  bool ignore_merges = false;                    // "bpe": a piece that is a token is that token, whatever the merges say (Llama 3)
  bool nfc = false;                              // "bpe": normalise to NFC first (Qwen)
  std::vector<SpaceTaker> space_takers;
  std::string chat_template;  // Jinja as the checkpoint has it; "" if none
};

/// How "<|im_end|>" written in a text is read: as the special token (prompts), or as the characters it is (documents). Special
/// are the tokens of kind control, user and unknown; the leftmost longest one is taken. Read as characters, control tokens
/// never come out, not even where merges would make them.
enum class Specials { parse, plain };

/// A part of a text with its own reading of special tokens; a special token never spans two parts.
struct TextPart {
  std::string_view text;
  Specials specials = Specials::plain;
};

/// Any bytes are a text. A byte that is not part of well-formed UTF-8 is a token of its own (in "spm" its <0xNN>), so decode gives
/// back the same bytes, except: with nfc the normalised text; in "spm" a written U+2581 comes back as a space; and what a "bpe"
/// vocabulary has no token for (SmolLM2 lacks 21 bytes, such as 0x04 and 0xff) is left out, as Hugging Face leaves it out.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual const TokenizerSpec& spec() const = 0;
  virtual int64_t size() const = 0;
  /// Ids of the parts as one text, handed to `take` in runs as they are made: memory grows with the longest piece between two
  /// cuts (a word, mostly), not with the text; several parts are joined first. No BOS or EOS is added. Time is n log n at worst.
  /// Safe to call from several threads.
  virtual void encode(std::span<const TextPart> parts, const std::function<void(std::span<const Id>)>& take) const = 0;
  /// The bytes of one token inside a text (may be a part of a UTF-8 character). Control tokens give "" unless `with_control`.
  /// Throws on an id outside [0, size()).
  virtual std::string bytes(Id id, bool with_control = false) const = 0;

  void encode(std::string_view text, Specials specials, const std::function<void(std::span<const Id>)>& take) const;
  std::vector<Id> encode(std::string_view text, Specials specials = Specials::plain) const;
  std::vector<Id> encode(std::span<const TextPart> parts) const;
  /// Bytes of a run of ids; undoes the space prefix of "spm" at its start.
  std::string decode(std::span<const Id> ids, bool with_control = false) const;
};

/// The pre-tokenizers "bpe" knows: gpt-2, llama-3, qwen2, smollm.
std::vector<std::string> split_names();

/// eos and every control or user token that is known to end a turn or a text; make_tokenizer uses it where `stops` is empty.
std::vector<Id> find_stops(const TokenizerSpec& spec);

/// "byte" needs no tokens (ids 0 to 255; named ones may follow). Throws on an unknown model or split, on ids out of range, on
/// merges or scores that do not fit the tokens, on an "spm" vocabulary without all 256 bytes.
std::unique_ptr<Tokenizer> make_tokenizer(TokenizerSpec spec);

/// Hugging Face's tokenizer.json (with tokenizer_config.json's text, or "", for BOS, EOS and the chat template). Throws on what
/// is not JSON, not a tokenizer, or a kind of tokenizer we do not know, naming what is not known.
TokenizerSpec tokenizer_from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json, std::string_view where);

/// llama2.c's tokenizer (tok512.bin): `vocabulary` scored strings. Throws on a truncated file.
TokenizerSpec tokenizer_from_llama2c(std::span<const uint8_t> bytes, int64_t vocabulary, std::string_view where);

}  // namespace longview
