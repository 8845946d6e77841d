// Question sets: what is wrong in a file is said; prompts that share their beginning are read once and say the same.
#include "longview/eval/questions.h"

#include "tests/infer/tiny.h"
#include "tests/kernels/error.h"

namespace longview {
namespace {

using testing::some_ids;
using testing::tiny_model;

TEST(Questions, WhatIsWrongIsSaid) {
  const auto parsed = [](const std::string& questions) {
    return parse_questions(R"({"documents": [{"name": "a", "text": "x"}], "questions": [)" + questions + "]}", "q.json");
  };
  EXPECT_EQ(parsed(R"({"question": "Who?", "answers": ["me"], "document": 0})").questions[0].answers[0], "me");
  for (const std::string wrong :
       {"", R"({"question": "Who?"})", R"({"question": "Who?", "answers": [], "document": 0})",
        R"({"question": "Who?", "answers": [""], "document": 0})", R"({"question": "Who?", "answers": ["me"], "document": 1})",
        R"({"question": 1, "answers": ["me"], "document": 0})"})
    EXPECT_THROW(parsed(wrong), Error) << wrong;
}

TEST(Questions, AnAnswerIsRightInAnyCase) {
  const Question question{"Which bird?", {"heron", "Egret"}, 0};
  EXPECT_TRUE(is_right("A white Heron.", question));
  EXPECT_TRUE(is_right("egrets", question));
  EXPECT_FALSE(is_right("a hero", question));
  EXPECT_FALSE(is_right("", question));
}

TEST(Questions, PromptsThatBeginAlikeAreReadOnce) {
  const Method method = tiny_model().method("rope", "full");
  std::vector<std::vector<Id>> prompts;
  for (const uint32_t seed : {2, 3, 4}) {
    prompts.push_back(some_ids(50));
    for (const Id id : some_ids(5 + seed, seed)) prompts.back().push_back(id);
  }
  prompts.push_back(some_ids(50));  // the shortest ends where the others part
  int64_t told = 0;
  const auto read = read_shared(tiny_model(), method, prompts, 16, [&](int64_t count) {
    told += count;
    return true;
  });
  EXPECT_EQ(read.shared, 49U) << "one token is left to be read";
  EXPECT_EQ(told, 49);
  for (size_t q = 0; q < prompts.size(); ++q) {
    const auto sessions = asked(tiny_model(), method, std::vector<const SharedPrompts*>{&read, &read}, q);
    Session whole;
    feed(tiny_model(), method, prompts[q], 16, whole);
    EXPECT_EQ(sessions[0].digest, whole.digest);
    EXPECT_TRUE(testing::same_bits(sessions[0].hidden, sessions[1].hidden));
    EXPECT_EQ(sessions[1].state.seen(), static_cast<int64_t>(prompts[q].size()));
  }
  EXPECT_EQ(read.session.state.seen(), 49) << "forks leave it as it was";
}

}  // namespace
}  // namespace longview
