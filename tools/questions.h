// The task `questions` of longview eval.
#pragma once

#include "tools/reading.h"

namespace longview::tools {

struct QuestionsCommand : SharedOptions {
  std::string book, list, form = "{context}\n\nQuestion: {question}\nAnswer:";
  std::vector<std::string> methods, nbce{"entropy"}, ways;
  int64_t chunk = 512;
  bool chat = false;
};

/// The rows of the JSON, one for each way of showing the documents to the model; prints the table.
Json ask_questions(const QuestionsCommand& command, const Opened& opened);

}  // namespace longview::tools
