// A text that a person and a model write together: prompt or messages in, answers out, and what became of the text in the cache.
#pragma once

#include "tools/program.h"

namespace longview::tools {

struct GenerateCommand : SharedOptions {
  std::optional<std::string> prompt;
  std::string file, state, save, system;
  int64_t chunk = 512;
  bool chat = false;
  std::optional<double> temperature;
  std::optional<std::string> nbce;    // a setting, maybe empty
  std::vector<std::string> contexts;  // files
  int64_t context_tokens = 0;         // 0: a quarter of the trained length, less where the prompt needs the room
  GenerateOptions generate;
};

class Conversation {
 public:
  /// Begins with nothing read, or with the saved state of --state and its method; throws when another method is asked for.
  Conversation(const GenerateCommand& command, const Opened& opened);

  /// Reads ids; long ones with progress. Stops at Ctrl-C.
  void hear(std::span<const Id> ids);
  /// Continues the text and writes what it makes, and a line end.
  Generated answer();
  /// Reads the last token of an answer, which its maker has not read yet, and `more` after it.
  void hear_end(const Generated& made, std::span<const Id> more = {});

  bool is_empty() const { return !session_.hidden.defined(); }
  /// Saves the state if --save asks for it, and writes the JSON: these fields and what is known of the text.
  void finish(Json fields, const Generated& made) const;

 private:
  Json context() const;
  /// Says once that the text has outgrown what the method keeps, so that nobody wonders what the model still knows.
  void tell_overflow();

  const GenerateCommand& command_;
  const Opened& opened_;
  Method method_;
  Session session_;
  std::string text_name_ = "conversation";
  bool is_told_ = false;
};

/// The prompt answered from independent contexts (tools/contexts.cpp).
void answer_from_contexts(GenerateCommand command, const Opened& opened);

}  // namespace longview::tools
