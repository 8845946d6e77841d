// Stages: when one ends, and that a training goes on in the middle of one.
#include "longview/train/curriculum.h"

#include <gtest/gtest.h>

namespace longview {
namespace {

constexpr int64_t kSteps = 1000;

std::vector<StageConfig> stages(double until, int64_t least, double most) {
  StageConfig first;
  first.until = until, first.least = least, first.most = most;
  return {first, StageConfig{}};
}

/// The step after which the second stage begins, with the same answers in every step; 0: it never does.
int64_t end_of_first(Curriculum& curriculum, const std::vector<AnswerCount>& answers, int64_t from = 0) {
  for (int64_t done = from + 1; done <= kSteps; ++done)
    if (curriculum.advance(answers, done, kSteps)) return done;
  return 0;
}

TEST(Curriculum, GoesOnWhenEveryKindIsLearnt) {
  const auto end = [](const std::vector<AnswerCount>& answers) {
    Curriculum curriculum(stages(0.9, 0, 0.5));
    return end_of_first(curriculum, answers);
  };
  EXPECT_EQ(end({{9, 10}, {9, 10}}), 25) << "steps that are looked back at";
  EXPECT_EQ(end({{1000, 1000}, {8, 10}}), 500) << "a rare kind counts as much";
  EXPECT_EQ(end({{9, 10}, {0, 0}}), 25) << "a kind that texts so short do not have";
  EXPECT_EQ(end({{0, 0}}), 500) << "nothing was asked";
  EXPECT_EQ(end({}), 500);
}

TEST(Curriculum, StaysAsLongAsItMustAndNoLongerThanItMay) {
  Curriculum least(stages(0.9, 100, 0.5)), most(stages(0.9, 100, 0.03)), by_most(stages(0, 0, 0.4)), last(stages(0.9, 0, 1));
  EXPECT_EQ(end_of_first(least, {{10, 10}}), 100);
  EXPECT_EQ(end_of_first(most, {{10, 10}}), 30);
  EXPECT_EQ(end_of_first(by_most, {{10, 10}}), 400);
  EXPECT_EQ(end_of_first(last, {{10, 10}}), 25);
  EXPECT_EQ(end_of_first(last, {{10, 10}}, 25), 0) << "the last stage has no end";
}

TEST(Curriculum, GoesOnFromItsState) {
  Curriculum whole(stages(0.9, 40, 1)), second(stages(0.9, 40, 1));
  for (int64_t done = 1; done <= 30; ++done) whole.advance({{done > 20 ? 10.0 : 0.0, 10}, {10, 10}}, done, kSteps);
  second.restore(Json::parse(whole.state().dump()));
  EXPECT_EQ(second.state(), whole.state());
  const int64_t end = end_of_first(whole, {{10, 10}, {10, 10}}, 30);
  EXPECT_EQ(end, 43) << "two of the 25 steps before it had nothing right";
  EXPECT_EQ(end_of_first(second, {{10, 10}, {10, 10}}, 30), end);
}

}  // namespace
}  // namespace longview
