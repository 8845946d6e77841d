// Tokens to segments of one length, one after the other; the last may be shorter.
#pragma once

#include "longview/flow.h"
#include "longview/text/tokenizer.h"

namespace longview {

class Contiguous {
 public:
  /// length: tokens a segment; first: position of the first token to come.
  Contiguous(int64_t length, int64_t first, std::function<void(const Segment&)> take);
  void add(std::span<const Id> ids);
  /// Hands out what is left, if anything.
  void finish();

 private:
  void emit();
  int64_t length_, first_;
  std::function<void(const Segment&)> take_;
  std::vector<int64_t> waiting_;
};

}  // namespace longview
