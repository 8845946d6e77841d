// Prompts that hide a key in a long text, made of the same pieces as the rows of the source "passkey".
#pragma once

#include "longview/segment/wordings.h"

namespace longview {

struct PasskeyTask {
  int64_t length = 4096;       // T: tokens of the prompt, question and answer included
  double depth = 0.5;          // where the needle stands: 0 behind the introduction, 1 right before the question
  int64_t needle_at = -1;      // or at which token it begins, to try every offset of a segment; -1: by depth
  std::span<const Id> book{};  // filler is a piece of it; empty: the five sentences again and again
  int64_t book_at = -1;        // where in the book it begins; -1: anywhere
  std::string wordings = "one", keys = "digits";
  int64_t needles = 1;  // more: each has a name, one is asked for, the others stand anywhere
  uint64_t seed = 0;    // of key, names, wording and the piece of the book
};

struct PasskeyPrompt {
  std::vector<Id> ids;                       // [T]; the answer is in it, what follows it ends the sentence
  int64_t answer_begin = 0, answer_end = 0;  // tokens that spell the key in the question
  int64_t needle_begin = 0, needle_end = 0;
  std::string key;
};

/// Throws when the length has no room for the pieces, or the book is too short.
PasskeyPrompt passkey_prompt(const PasskeyTask& task, const Tokenizer& tokenizer);

}  // namespace longview
