// Names a person types: the nearest known one, lists, the text of every unknown-name error; registries.
#include "longview/base/names.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "longview/base/registry.h"

namespace longview {
namespace {

const std::vector<std::string> kMethods = {"dynamic", "linear", "ntk", "rerope", "yarn"};

TEST(Names, NearestIsTheOneWithTheFewestEdits) {
  EXPECT_EQ(nearest("yarm", kMethods), "yarn");
  EXPECT_EQ(nearest("rope", kMethods), "rerope");
  EXPECT_EQ(nearest("lineer", kMethods), "linear");
  EXPECT_EQ(nearest("yarn", kMethods), "yarn");
}

TEST(Names, NothingIsNearWhenMoreThanHalfDiffers) {
  EXPECT_EQ(nearest("streaming", kMethods), "");
  EXPECT_EQ(nearest("", kMethods), "");
  EXPECT_EQ(nearest("yarn", {}), "");
}

TEST(Names, ListsReadAsASentence) {
  EXPECT_EQ(listed({}), "");
  EXPECT_EQ(listed(std::vector<std::string>{"a"}), "a");
  EXPECT_EQ(listed(std::vector<std::string>{"a", "b"}), "a and b");
  EXPECT_EQ(listed(std::vector<std::string>{"a", "b", "c"}), "a, b and c");
}

TEST(Names, AnUnknownNameListsTheKnownOnesAndTheNearest) {
  const std::string near = unknown_name("method", "yarm", kMethods);
  EXPECT_EQ(near, "unknown method 'yarm'; did you mean 'yarn'?; known: dynamic, linear, ntk, rerope and yarn");
  EXPECT_EQ(unknown_name("method", "qqqqqq", kMethods).find("did you mean"), std::string::npos);
}

RC_GTEST_PROP(Names, AnythingTypedHasAnAnswer, (const std::string& given)) {
  const std::string found = nearest(given, kMethods);
  RC_ASSERT(found.empty() || std::find(kMethods.begin(), kMethods.end(), found) != kMethods.end());
}

RC_GTEST_PROP(Names, OneWrongLetterIsForgiven, ()) {
  const std::string right = *rc::gen::elementOf(std::vector<std::string>{"dynamic", "linear", "rerope"});
  std::string typed = right;
  typed[*rc::gen::inRange<size_t>(0, typed.size())] = *rc::gen::inRange('a', 'z');
  RC_ASSERT(nearest(typed, kMethods) == right);
}

using Maker = int (*)();
constexpr Entry<Maker> kTable[] = {
    {"linear", "arXiv:2306.15595", "positions divided", "", [] { return 1; }},
    {"yarn", "arXiv:2309.00071", "a blend", "", [] { return 2; }},
};

TEST(Registry, FindsByName) {
  EXPECT_EQ(find<Maker>(kTable, "method", "yarn").make(), 2);
  EXPECT_EQ(names<Maker>(kTable), (std::vector<std::string>{"linear", "yarn"}));
}

TEST(Registry, AnUnknownNameIsAnErrorThatHelps) {
  try {
    find<Maker>(kTable, "method", "yarm");
    FAIL() << "found a method that does not exist";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "unknown method 'yarm'; did you mean 'yarn'?; known: linear and yarn");
  }
}

}  // namespace
}  // namespace longview
