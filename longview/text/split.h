// Pre-tokenizers of byte-level BPE: the regular expressions that cut a text into the pieces that are merged apart.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "longview/text/source.h"

namespace longview {

/// A compiled pre-tokenizer; immutable, shared by threads and copies.
class Split {
 public:
  /// Throws on a name that is not one of split_names().
  explicit Split(std::string_view name);

 private:
  friend class Splitter;
  struct Code;
  std::shared_ptr<const Code> code_;
};

/// The name of the pre-tokenizer that a tokenizer.json spells as this regular expression, or "".
std::string split_of_regex(std::string_view regex);

/// And the other way; "" for smollm's, which is spelled as two steps, and for a name that is not known.
std::string regex_of_split(std::string_view name);

/// What one thread needs to match; reused from text to text.
class SplitMemory {
 public:
  SplitMemory();
  ~SplitMemory();
  SplitMemory(SplitMemory&&) = delete;

 private:
  friend class Splitter;
  struct Match;
  std::unique_ptr<Match> match_;
};

/// Walks a text piece by piece. A byte that is not UTF-8 is a piece of its own, and the text before it is split as if it ended
/// there.
class Splitter {
 public:
  Splitter(const Split& split, SplitMemory& memory, TextSource& source) : split_(split), memory_(memory), source_(source) {}
  /// The next piece, or "" at the end; valid until the next call.
  std::string_view next();

 private:
  bool validate();
  size_t match(std::string_view valid, bool complete);

  const Split& split_;
  SplitMemory& memory_;
  TextSource& source_;
  size_t piece_ = 0;    // bytes of the piece last given
  size_t valid_ = 0;    // bytes of the window known to be UTF-8
  bool ended_ = false;  // whether something that is not UTF-8 follows them
};

}  // namespace longview
