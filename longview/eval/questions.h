// Questions about documents, each answered by one of them: read once, asked many times.
#pragma once

#include "longview/infer/session.h"

namespace longview {

struct Question {
  std::string text;
  std::vector<std::string> answers;  // an answer is right when it contains one of them, in any case
  int64_t document = 0;              // the one that has it
};

struct QuestionSet {
  struct Source {
    std::string name, text;
  };
  std::vector<Source> documents;
  std::vector<Question> questions;
};

/// {"documents": [{"name", "text"}], "questions": [{"question", "answers": [...], "document": 0}]}; throws naming what is wrong.
QuestionSet parse_questions(std::string_view json, std::string_view where);

bool is_right(std::string_view answer, const Question& question);

/// Prompts that begin alike, with the state after what they share.
struct SharedPrompts {
  std::vector<std::vector<Id>> prompts;
  size_t shared = 0;  // tokens, always fewer than the shortest prompt has
  Session session;    // has read them
};

/// Reads what the prompts share. `step` is told of the tokens read and returns false to end early.
SharedPrompts read_shared(const Transformer& model, const Method& method, std::vector<std::vector<Id>> prompts, int64_t chunk,
                          const std::function<bool(int64_t)>& step);

/// Forks of all states, each having read its prompt of this number to the end; read as one batch.
std::vector<Session> asked(const Transformer& model, const Method& method, std::span<const SharedPrompts* const> all,
                           size_t number);

}  // namespace longview
