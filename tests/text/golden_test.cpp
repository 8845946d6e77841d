// Id for id what Hugging Face's tokenizers and SentencePiece give: 2,000 strings for each vocabulary, and a whole book.
#include <gtest/gtest.h>

#include <filesystem>

#include "longview/checkpoint/checkpoint.h"
#include "longview/text/utf8.h"
#include "tests/text/vocabularies.h"

namespace longview {
namespace {

std::string described(const Tokenizer& tokenizer, const std::string& text) {
  std::string out = nlohmann::json(text).dump() + " gives, plain and parsed:";
  for (const Specials specials : {Specials::plain, Specials::parse}) {
    out += "\n ";
    for (const Id id : tokenizer.encode(text, specials)) out += fmt::format(" {}:{}", id, tokenizer.bytes(id, true));
  }
  return out;
}

void expect_golden(const std::string& name, const Tokenizer& tokenizer) {
  const auto& strings = golden_ids()["strings"];
  const auto& hashes = golden_ids()["tokenizers"][name]["hashes"];
  ASSERT_EQ(strings.size(), hashes.size());
  int wrong = 0;
  for (size_t at = 0; at < strings.size() && wrong < 10; ++at) {
    const auto text = strings[at].get<std::string>();
    IdHash hash;
    hash.add(tokenizer.encode(text, Specials::plain));
    hash.end();
    if (name != "llama2c") {  // SentencePiece never reads special tokens in a text
      hash.add(tokenizer.encode(text, Specials::parse));
      hash.end();
    }
    const auto expected = hashes[at].get<std::string>();
    wrong += hash.text() != expected;
    EXPECT_EQ(hash.text(), expected) << at << ": " << described(tokenizer, text);
  }
}

void expect_golden_book(const std::string& name, const Tokenizer& tokenizer) {
  const std::string path = std::string(LONGVIEW_BOOKS) + "/bible.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path << " ('./run setup' makes it)";
  const MappedFile book(path);
  const auto& golden = golden_ids()["tokenizers"][name];
  IdHash hash;
  int64_t tokens = 0;
  tokenizer.encode(book.text(), Specials::plain, [&](std::span<const Id> ids) {
    hash.add(ids);
    tokens += static_cast<int64_t>(ids.size());
  });
  hash.end();
  EXPECT_EQ(tokens, golden["book_tokens"].get<int64_t>());
  EXPECT_EQ(hash.text(), golden["book_hash"].get<std::string>());
}

// tokenizer_ids.py: every_character.
void expect_golden_characters(const std::string& name, const Tokenizer& tokenizer) {
  IdHash hash;
  for (char32_t first = 0; first < 0xE0200; first += first == 0x33400 ? 0xE0000 - first : 0x100) {
    if (first >= 0xD800 && first < 0xE000) continue;
    std::string text;
    for (char32_t at = first; at < first + 0x100; ++at) {
      std::string character;
      utf8_append(character, at);
      text += "x" + character + " " + character + "'" + character + "7 " + character + "\n";
    }
    hash.add(tokenizer.encode(text));
    hash.end();
  }
  EXPECT_EQ(hash.text(), golden_ids()["tokenizers"][name]["every_character"].get<std::string>());
}

class GoldenIds : public testing::TestWithParam<std::string> {};

TEST_P(GoldenIds, OfStrings) { expect_golden(GetParam(), *make_tokenizer(golden_spec(GetParam()))); }
TEST_P(GoldenIds, OfEveryCharacter) { expect_golden_characters(GetParam(), *make_tokenizer(golden_spec(GetParam()))); }
TEST_P(GoldenIds, OfABook) { expect_golden_book(GetParam(), *make_tokenizer(golden_spec(GetParam()))); }

INSTANTIATE_TEST_SUITE_P(Vocabularies, GoldenIds,
                         testing::Values("gpt2", "smollm", "llama3", "qwen2", "legacy", "metaspace", "words", "llama2c"),
                         [](const auto& info) { return info.param; });

TEST(GoldenSmolLM2, OfStringsAndABook) {
  const std::string path = std::string(LONGVIEW_MODELS) + "/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path << " ('./run setup' gets it)";
  const auto tokenizer = make_tokenizer(open_checkpoint(path).tokenizer);
  expect_golden("smollm2", *tokenizer);
  expect_golden_characters("smollm2", *tokenizer);
  expect_golden_book("smollm2", *tokenizer);
}

}  // namespace
}  // namespace longview
