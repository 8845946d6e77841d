// JSON from outside: errors are ours, name the file, and no nesting is deep enough to harm.
#include "longview/base/json.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "longview/base/check.h"

namespace longview {
namespace {

std::string nested(int depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonText, KeepsTheOrderOfKeys) { EXPECT_EQ(parse_json(R"({"b":1,"a":[2,3]})", "x").dump(), R"({"b":1,"a":[2,3]})"); }

TEST(JsonText, ErrorsNameTheFile) {
  for (const char* wrong : {"", "{", "[1,]", "nul", "{\"a\":1}x", "\"\xff\"", "NaN", "{a:1}"}) {
    try {
      parse_json(wrong, "config.json");
      ADD_FAILURE() << "accepted: " << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).rfind("[json] config.json: ", 0), 0u) << error.what();
    }
  }
}

TEST(JsonText, NestsAtMost200Deep) {
  EXPECT_NO_THROW(parse_json(nested(200), "x"));
  EXPECT_THROW(parse_json(nested(202), "x"), Error);
  EXPECT_THROW(parse_json(nested(1'000'000), "x"), Error);
  EXPECT_THROW(parse_json(std::string(1'000'000, '['), "x"), Error);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  EXPECT_THROW(parse_json(objects, "x"), Error);
}

RC_GTEST_PROP(JsonText, AnyBytesParseOrThrowOurError, (const std::string& text)) {
  try {
    parse_json(text, "x");
  } catch (const Error&) {
  }
}

}  // namespace
}  // namespace longview
