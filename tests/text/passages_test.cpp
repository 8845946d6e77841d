// Passages: nothing is lost, none is too long, cuts are where something ends.
#include "longview/text/passages.h"

#include <gtest/gtest.h>

namespace longview {
namespace {

using Texts = std::vector<std::string_view>;

/// A token a byte.
const Tokenizer& bytes() {
  static const auto tokenizer = make_tokenizer({.model = "byte"});
  return *tokenizer;
}

TEST(Passages, ATextThatFitsIsOne) {
  EXPECT_EQ(passages("One. Two.\n\nThree.", bytes(), 17), (Texts{"One. Two.\n\nThree."}));
  EXPECT_EQ(passages("", bytes(), 5), Texts{});
  EXPECT_EQ(passages(" \n\n ", bytes(), 5), Texts{});
}

TEST(Passages, ParagraphsThenLinesThenSentencesThenWords) {
  EXPECT_EQ(passages("One. Two.\n\nThree.\n\nFour.", bytes(), 16), (Texts{"One. Two.", "Three.\n\nFour."}));
  EXPECT_EQ(passages("a b\nc d\ne f", bytes(), 8), (Texts{"a b\nc d", "e f"}));
  EXPECT_EQ(passages("Is it? Yes! It is. So.", bytes(), 12), (Texts{"Is it? Yes!", "It is. So."}));
  EXPECT_EQ(passages("one two three", bytes(), 8), (Texts{"one two", "three"}));
}

TEST(Passages, NoCharacterIsTorn) {
  EXPECT_EQ(passages("äöüß", bytes(), 3), (Texts{"ä", "ö", "ü", "ß"}));
  EXPECT_EQ(passages("aaaaa", bytes(), 2), (Texts{"aa", "aa", "a"}));
}

TEST(Passages, NothingIsLostAndNoneIsTooLong) {
  std::string text;
  for (int n = 0; n < 400; ++n)
    text += "word" + std::to_string(n * 7919 % 101) + (n % 37 == 0 ? ".\n\n" : n % 11 == 0 ? ".\n" : n % 5 == 0 ? ". " : " ");
  const auto plain = [](std::string_view from) {
    std::string out;
    for (const char c : from)
      if (c != ' ' && c != '\n') out += c;
    return out;
  };
  for (const int64_t most : {1, 3, 10, 64, 500, 100000}) {
    std::string joined;
    for (const auto passage : passages(text, bytes(), most)) {
      EXPECT_LE(static_cast<int64_t>(passage.size()), most);
      joined += plain(passage);
    }
    EXPECT_EQ(joined, plain(text)) << most;
  }
}

}  // namespace
}  // namespace longview
