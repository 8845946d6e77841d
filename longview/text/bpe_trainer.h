// Learning the merges of a byte-level BPE tokenizer from texts.
#pragma once

#include <functional>
#include <string_view>

#include "longview/text/tokenizer.h"

namespace longview {

struct BpeTraining {
  int64_t vocabulary = 32768;                             // ids in all: 256 bytes, merges, and the special tokens at the end
  std::string split = "gpt-2";                            // a name of split_names()
  std::vector<std::string> specials = {"<|endoftext|>"};  // the first is BOS and EOS
  int64_t least = 2;                                      // pairs that occur less often are not merged
};

/// Counts words and merges them. The same texts give the same tokenizer, in whatever order and pieces they come.
class BpeTrainer {
 public:
  /// Throws on a vocabulary with no room for bytes and special tokens, and on an unknown split.
  explicit BpeTrainer(BpeTraining settings);
  ~BpeTrainer();
  /// One text: words do not reach from one to the next.
  void add(std::string_view text);
  /// The tokenizer; fewer ids than asked for where the texts have no more pairs. `step` is told of merges made and wanted, and returns
  /// false to stop with those.
  TokenizerSpec train(const std::function<bool(int64_t, int64_t)>& step = {}) const;

 private:
  struct Words;
  BpeTraining settings_;
  std::unique_ptr<Words> words_;
};

}  // namespace longview
