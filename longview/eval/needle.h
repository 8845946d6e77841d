// Finding one sentence in a long text: prompts with a needle in a book (the passkey's are in segment/passkey.h), and whether a model finds
// what they hide.
#pragma once

#include "longview/infer/session.h"
#include "longview/segment/passkey.h"
#include "longview/text/tokenizer.h"

namespace longview {

struct NeedleTask {
  int64_t length = 4096;       // tokens of the prompt; the answer follows it
  double depth = 0.5;          // where the sentence stands: 0 at the beginning, 1 right before the question
  uint64_t seed = 0;           // of the number, and of where the book begins
  std::span<const Id> book{};  // the text around it
};

/// Throws when the length has no room for the sentence and the question, or the book is too short.
PasskeyPrompt needle_prompt(const NeedleTask& task, const Tokenizer& tokenizer);

struct KeyAnswer {
  bool is_exact = false;          // every token of the key was the likeliest
  bool is_found = false;          // or what was said names it: of a number the first whole number said
  int64_t right = 0, tokens = 0;  // of the key's tokens, each after the right ones before it
  double nll = 0;                 // nats a token of the key
  std::string said;               // greedily
};

/// `session` has read the prompt up to its answer.
KeyAnswer answer_of(const Transformer& model, const Method& method, const Tokenizer& tokenizer, const PasskeyPrompt& prompt,
                    Session session);

/// Wilson's 95 % interval of a share of `found` of `tried`, [0, 1] for none (E. B. Wilson, 1927).
struct Interval {
  double low = 0, high = 1;
};
Interval wilson(int64_t found, int64_t tried);

}  // namespace longview
