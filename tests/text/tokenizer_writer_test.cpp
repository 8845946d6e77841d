// A tokenizer written as tokenizer.json and read again gives the same ids.
#include "longview/text/tokenizer_writer.h"

#include <gtest/gtest.h>

#include "longview/base/check.h"
#include "tests/text/vocabularies.h"

namespace longview {
namespace {

TokenizerSpec again(const TokenizerSpec& spec) {
  return tokenizer_from_json(tokenizer_to_json(spec), tokenizer_config_to_json(spec, 4096), "again");
}

class WrittenTokenizers : public ::testing::TestWithParam<std::string> {};

TEST_P(WrittenTokenizers, AreTheSameAgain) {
  TokenizerSpec spec = golden_spec(GetParam());
  spec.chat_template = "{{ \"\xC3\xA4\" }}\n";
  const TokenizerSpec read = again(spec);
  EXPECT_EQ(read.model, spec.model);
  EXPECT_EQ(read.split, spec.split);
  EXPECT_EQ(read.tokens, spec.tokens);
  EXPECT_EQ(read.kinds, spec.kinds);
  EXPECT_EQ(read.merges, spec.merges);
  EXPECT_EQ(std::tie(read.bos, read.eos, read.unk, read.pad), std::tie(spec.bos, spec.eos, spec.unk, spec.pad));
  EXPECT_EQ(std::tie(read.add_bos, read.add_eos, read.ignore_merges, read.nfc, read.add_space_prefix, read.space_prefix),
            std::tie(spec.add_bos, spec.add_eos, spec.ignore_merges, spec.nfc, spec.add_space_prefix, spec.space_prefix));
  EXPECT_EQ(read.space_takers.size(), spec.space_takers.size());
  EXPECT_EQ(read.stops, find_stops(spec));
  EXPECT_EQ(read.chat_template, spec.chat_template);
}

TEST_P(WrittenTokenizers, GiveTheSameIds) {
  const TokenizerSpec spec = golden_spec(GetParam());
  const auto before = make_tokenizer(spec), after = make_tokenizer(again(spec));
  for (const auto& one : golden_ids()["strings"]) {
    const auto text = one.get<std::string>();
    ASSERT_EQ(after->encode(text, Specials::plain), before->encode(text, Specials::plain)) << text;
    ASSERT_EQ(after->encode(text, Specials::parse), before->encode(text, Specials::parse)) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, WrittenTokenizers,
                         testing::Values("gpt2", "smollm", "llama3", "qwen2", "legacy", "metaspace", "words"),
                         [](const auto& info) { return info.param; });

// Scores become merges. A token that can be cut in two ways may then come out in other pieces.
TEST(WrittenTokenizer, OfScoresGivesTheSameIds) {
  const TokenizerSpec spec = golden_spec("llama2c"), read = again(spec);
  EXPECT_EQ(read.tokens, spec.tokens);
  EXPECT_TRUE(read.scores.empty() && !read.merges.empty() && read.add_bos && read.add_space_prefix);
  const auto before = make_tokenizer(spec), after = make_tokenizer(read);
  size_t other = 0;
  for (const auto& one : golden_ids()["strings"]) {
    const auto text = one.get<std::string>();
    other += before->encode(text) != after->encode(text);
    ASSERT_EQ(before->decode(before->encode(text)), after->decode(after->encode(text)));
  }
  EXPECT_EQ(other, 0U) << "of " << golden_ids()["strings"].size();
}

TEST(WrittenTokenizer, AddsWhatTheFileAdds) {
  TokenizerSpec spec = golden_spec("legacy");
  spec.add_eos = true, spec.add_bos = false, spec.eos = 2;
  spec.space_takers = {{2, false, true}};
  const TokenizerSpec read = again(spec);
  EXPECT_TRUE(read.add_eos && !read.add_bos);
  ASSERT_EQ(read.space_takers.size(), 1U);
  EXPECT_TRUE(read.space_takers[0].id == 2 && read.space_takers[0].right && !read.space_takers[0].left);
}

TEST(WrittenTokenizer, RefusesWhatJsonCannotSay) {
  const auto error_of = [](const TokenizerSpec& spec) -> std::string {
    try {
      tokenizer_to_json(spec);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  TokenizerSpec spec = golden_spec("gpt2");
  spec.tokens[9] = spec.tokens[8];
  EXPECT_NE(error_of(spec).find("the tokens 8 and 9 are both"), std::string::npos) << error_of(spec);
  spec = golden_spec("gpt2");
  spec.tokens[9] = "\xff";
  EXPECT_NE(error_of(spec).find("not UTF-8"), std::string::npos);
  spec.model = "byte";
  EXPECT_NE(error_of(spec).find("'byte' has no tokenizer.json"), std::string::npos);
}

}  // namespace
}  // namespace longview
