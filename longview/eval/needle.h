// Finding one sentence in a long text: the passkey of landmark attention (arXiv:2305.16300) in repeated filler, and a needle in a book.
#pragma once

#include "longview/infer/session.h"
#include "longview/text/tokenizer.h"

namespace longview {

struct NeedleTask {
  std::string kind = "passkey";  // passkey: in repeated sentences; needle: in the text of `book`
  int64_t length = 4096;         // tokens of the whole prompt
  double depth = 0.5;            // where the sentence stands: 0 at the beginning, 1 right before the question
  uint64_t seed = 0;             // of the number, and of where the book begins
  std::span<const Id> book;      // for needle
};

struct NeedlePrompt {
  std::vector<Id> ids;  // length of them
  std::string answer;   // the number
};
/// Throws when the length has no room for the sentence and the question, or the book is too short.
NeedlePrompt needle_prompt(const NeedleTask& task, const Tokenizer& tokenizer);

struct NeedleResult {
  bool is_found = false;  // the first whole number of ten greedy tokens is the answer
  std::string said;       // those tokens
  double answer_nll = 0;  // nats a token of the right answer
};
NeedleResult find_needle(const Transformer& model, const Method& method, const Tokenizer& tokenizer, const NeedlePrompt& prompt,
                         int64_t chunk);

}  // namespace longview
