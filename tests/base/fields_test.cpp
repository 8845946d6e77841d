// Settings as a person writes them, and configs whose fields are listed once.
#include "longview/base/fields.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace longview {
namespace {

struct Sample {
  int64_t window = 1024;
  double factor = 1.5;
  std::string rule = "linear";
  void fields(auto&& field) {
    field("window", window, "tokens a query sees");
    field("factor", factor, "how much longer");
    field("rule", rule, "how the memory is written");
  }
};

struct Bare {
  void fields(auto&&) {}
};

template <class Call>
std::string message(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Setting, IsANameAndValues) {
  const Setting bare = parse_setting("none");
  EXPECT_EQ(bare.name, "none");
  EXPECT_TRUE(bare.values.empty());
  const Setting full = parse_setting("yarn:factor=4,original=8k");
  EXPECT_EQ(full.name, "yarn");
  EXPECT_EQ(full.values, (std::map<std::string, std::string>{{"factor", "4"}, {"original", "8k"}}));
  EXPECT_EQ(parse_setting("x:path=a:b=c").values.at("path"), "a:b=c");
}

TEST(Setting, SaysWhatIsWrongWithIt) {
  EXPECT_NE(message([] { parse_setting(""); }).find("has no name"), std::string::npos);
  EXPECT_NE(message([] { parse_setting(":factor=4"); }).find("has no name"), std::string::npos);
  EXPECT_EQ(message([] { parse_setting("yarn:factor"); }), "[yarn] 'factor' is not key=value (in 'yarn:factor')");
  EXPECT_NE(message([] { parse_setting("yarn:=4"); }).find("not key=value"), std::string::npos);
  EXPECT_NE(message([] { parse_setting("yarn:a=1,,b=2"); }).find("not key=value"), std::string::npos);
  EXPECT_EQ(message([] { parse_setting("yarn:a=1,a=2"); }), "[yarn] 'a' is given twice (in 'yarn:a=1,a=2')");
}

TEST(Setting, WholeNumbers) {
  EXPECT_EQ(to_int("x", "n", "42"), 42);
  EXPECT_EQ(to_int("x", "n", "-3"), -3);
  EXPECT_EQ(to_int("x", "n", "8k"), 8192);
  EXPECT_EQ(to_int("x", "n", "8K"), 8192);
  EXPECT_EQ(to_int("x", "n", "2M"), 2 << 20);
  EXPECT_EQ(to_int("x", "n", "9223372036854775807"), INT64_MAX);
  for (const char* wrong : {"", "k", "4.5", "4x", " 4", "0x10", "1e3", "9223372036854775808", "1kk"})
    EXPECT_NE(message([&] { to_int("yarn", "original", wrong); }).find("[yarn] original must be a whole number"), std::string::npos)
        << wrong;
  EXPECT_NE(message([] { to_int("yarn", "original", "9007199254740993k"); }).find("too large"), std::string::npos);
  EXPECT_NE(message([] { to_int("yarn", "original", "-9007199254740993k"); }).find("too large"), std::string::npos);
}

TEST(Setting, RealNumbers) {
  EXPECT_EQ(to_real("x", "f", "0.5"), 0.5);
  EXPECT_EQ(to_real("x", "f", "1e6"), 1e6);
  for (const char* wrong : {"", "nan", "inf", "-inf", "1e999", "1,5", "1.5x", "four"})
    EXPECT_NE(message([&] { to_real("yarn", "factor", wrong); }).find("[yarn] factor must be a finite number"), std::string::npos)
        << wrong;
}

TEST(Fields, AreSetByName) {
  const Sample set = with_values(Sample{}, parse_setting("sample:window=2k,rule=delta"));
  EXPECT_EQ(set.window, 2048);
  EXPECT_EQ(set.factor, 1.5);
  EXPECT_EQ(set.rule, "delta");
}

TEST(Fields, UnknownOnesAreErrorsThatHelp) {
  EXPECT_EQ(message([] { with_values(Sample{}, parse_setting("sample:windw=2")); }),
            "[sample] unknown setting 'windw'; did you mean 'window'?; known: window, factor and rule");
  EXPECT_EQ(message([] { with_values(Bare{}, parse_setting("rope:factor=2")); }), "[rope] takes no settings; got 'factor'");
}

TEST(Fields, AsTextAndBack) {
  const auto texts = field_texts(Sample{7, 0.1, "delta"});
  ASSERT_EQ(texts.size(), 3u);
  EXPECT_EQ(texts[0].help, "tokens a query sees");
  const std::string text = setting_text("sample", texts);
  EXPECT_EQ(text, "sample:window=7,factor=0.1,rule=delta");
  EXPECT_EQ(setting_text("rope", {}), "rope");
}

RC_GTEST_PROP(Fields, EveryValueSurvivesItsText, (int64_t window, double factor)) {
  const Setting setting = parse_setting(setting_text("sample", field_texts(Sample{window, factor, "delta"})));
  const Sample back = with_values(Sample{}, setting);
  RC_ASSERT(back.window == window);
  RC_ASSERT(back.factor == factor);
  RC_ASSERT(back.rule == "delta");
}

RC_GTEST_PROP(Setting, AnyBytesParseOrSayWhyNot, (const std::string& text)) {
  try {
    RC_ASSERT(!parse_setting(text).name.empty());
  } catch (const Error&) {
  }
}

}  // namespace
}  // namespace longview
