// Continuing a text: the only place where logits flow back to tokens.
#pragma once

#include "longview/infer/sample.h"
#include "longview/infer/session.h"

namespace longview {

struct GenerateOptions {
  int64_t most = 256;              // tokens to make at most; -1: until the model ends
  std::vector<std::string> stops;  // texts that end the answer; they are not part of it
  bool ignore_end = false;         // go on past the tokens that end a turn
  SampleOptions sample;
};

struct Generated {
  std::vector<Id> ids;  // as made, an ending token included
  std::string text;     // all that was shown: without the stop text, what follows it, and a character that was not finished
  std::string end;      // why it ended: "length", "token", "stop" or "interrupted"
  double seconds = 0;
};

/// What is being continued: one text, or several that are answered together.
struct Continuation {
  virtual ~Continuation() = default;
  /// Logits [V] of the token that follows; called once for each.
  virtual Tensor logits() = 0;
  /// Reads the token that was made.
  virtual void hear(Id id) = 0;
  /// The last tokens read, for the repetition penalty.
  virtual std::span<const Id> recent() const = 0;
};

/// Continues `text`, which has read the prompt. `write` gets what is made as it is certain: whole UTF-8 characters, and nothing that
/// may still turn out to be a stop text; it returns false to end. The text has heard everything made but the last token.
Generated generate(Continuation& text, const Tokenizer& tokenizer, const GenerateOptions& options,
                   const std::function<bool(std::string_view)>& write);
/// The same for one text.
Generated generate(const Transformer& model, const Method& method, const Tokenizer& tokenizer, const GenerateOptions& options,
                   Session& session, const std::function<bool(std::string_view)>& write);

}  // namespace longview
