// The tasks `passkey` and `needle` of longview eval.
#pragma once

#include "tools/questions.h"

namespace longview::tools {

struct PasskeyCommand : QuestionsCommand {
  std::string lengths = "4k,8k,16k,32k", depths = "0,25,50,75,100", needle_offsets, question_offsets;
  std::string wordings = "one", keys = "digits", memory = "on";
  std::vector<std::string> haystack{"repeat"};
  int64_t trials = 1, seed = 0, needles = 1, segment = 0, batch = 0;
  bool is_needle = false;  // the sentence in a book, not the passkey
};

void add_passkey_options(CLI::App& app, PasskeyCommand& command);

/// The rows of the JSON, one for each method and length; prints the table and writes the report.
Json find_keys(const PasskeyCommand& command, const Opened& opened);

}  // namespace longview::tools
