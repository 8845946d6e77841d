// What the tokenizers have in common: special tokens cut a text into sections, and each kind of tokenizer encodes a section.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "longview/text/tokenizer.h"

namespace longview {

/// Gathers ids and hands them on in runs.
class IdRuns {
 public:
  explicit IdRuns(const std::function<void(std::span<const Id>)>& take) : take_(take) { ids_.reserve(kRun); }
  void add(Id id) {
    ids_.push_back(id);
    if (ids_.size() >= kRun) flush();
  }
  void add(std::span<const Id> ids) {
    for (const Id id : ids) add(id);
  }
  void flush() {
    if (!ids_.empty()) take_(ids_);
    ids_.clear();
  }

 private:
  static constexpr size_t kRun = 4096;
  const std::function<void(std::span<const Id>)>& take_;
  std::vector<Id> ids_;
};

/// Finds special tokens in a text, as Hugging Face's added tokens: leftmost, of those the longest.
class SpecialFinder {
 public:
  struct Found {
    Id id = -1;                 // -1: none
    size_t begin = 0, end = 0;  // what it takes of the text, white space it eats included
    size_t match_end = 0;       // where its own characters end
  };

  /// `spec` must outlive the finder.
  explicit SpecialFinder(const TokenizerSpec& spec);
  /// The first special token whose characters start at `from` or later; white space it eats starts at `floor` at the earliest.
  Found next(std::string_view text, size_t from, size_t floor) const;

 private:
  std::array<std::vector<size_t>, 256> lengths_;  // by first byte: the lengths there are, longest first
  std::unordered_map<std::string_view, Id> ids_;
  std::map<Id, SpaceTaker> space_takers_;
};

/// A tokenizer whose kind says how a section is encoded.
class SectionTokenizer : public Tokenizer {
 public:
  /// Checks the spec and fills in its kinds and stops.
  explicit SectionTokenizer(TokenizerSpec spec);
  const TokenizerSpec& spec() const override { return spec_; }
  int64_t size() const override { return static_cast<int64_t>(spec_.tokens.size()); }
  using Tokenizer::encode;
  void encode(std::span<const TextPart> parts, const std::function<void(std::span<const Id>)>& take) const override;
  std::string bytes(Id id, bool with_control = false) const override;

 protected:
  /// Ids of a text without special tokens; `first` if it is the beginning of the whole text. Never called with an empty one.
  virtual void section(std::string_view text, bool first, IdRuns& out) const = 0;
  /// The bytes of a token of kind normal, unused or byte.
  virtual std::string plain_bytes(Id id) const = 0;
  bool is_plain(Id id) const;
  const std::string& token(Id id) const { return spec_.tokens[static_cast<size_t>(id)]; }
  TokenKind kind(Id id) const { return spec_.kinds[static_cast<size_t>(id)]; }

 private:
  const TokenizerSpec spec_;
  const SpecialFinder finder_;
};

std::unique_ptr<Tokenizer> make_byte_tokenizer(TokenizerSpec spec);
std::unique_ptr<Tokenizer> make_byte_pair_tokenizer(TokenizerSpec spec);
std::unique_ptr<Tokenizer> make_sentence_piece_tokenizer(TokenizerSpec spec);

/// Pairs of ids that may be merged: one number for both.
inline uint64_t pair_key(Id left, Id right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace longview
