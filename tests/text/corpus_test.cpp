#include "longview/text/corpus.h"

#include <gtest/gtest.h>

#include <fstream>

#include "longview/base/check.h"

namespace longview {
namespace {

class Corpus : public testing::Test {
 protected:
  std::filesystem::path written(const std::string& text) const {
    const auto path = std::filesystem::path(testing::TempDir()) / "corpus_test.txt";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  static std::string error_of(const std::filesystem::path& path) {
    try {
      Document{path};
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST_F(Corpus, HandsOutTheBytesOfTheFile) {
  const std::string text = "\xEF\xBB\xBFIn the beginning\r\n\xFF caf\xE9 " + std::string(100000, 'x');
  const Document document(written(text));
  EXPECT_EQ(document.name(), "corpus_test.txt");
  EXPECT_EQ(document.text(), text);
  document.release_before(50000);
  const Document copy = document;
  EXPECT_EQ(copy.text().data(), document.text().data());
  EXPECT_EQ(copy.text(), text);
}

TEST_F(Corpus, TextInMemoryIsADocumentToo) {
  const Document document("prompt", std::string("Hello"));
  EXPECT_EQ(document.name(), "prompt");
  EXPECT_EQ(document.text(), "Hello");
  document.release_before(3);
  EXPECT_EQ(document.text(), "Hello");
}

TEST_F(Corpus, RefusesWhatIsNoText) {
  EXPECT_NE(error_of("/nonexistent/book.txt").find("cannot read '/nonexistent/book.txt'"), std::string::npos);
  EXPECT_NE(error_of(testing::TempDir()).find("is a folder"), std::string::npos);
  const auto path = written("");
  EXPECT_EQ(error_of(path), "[text] '" + path.string() + "' is empty");
  written(std::string("a\0b", 3));
  EXPECT_NE(error_of(path).find("byte 1 is NUL"), std::string::npos);
  written(std::string(2000000, 'a') + std::string(1, '\0'));
  EXPECT_NE(error_of(path).find("byte 2000000 is NUL"), std::string::npos);
  written("ab\xFF\xFE\xFD");
  EXPECT_NE(error_of(path).find("60% of its bytes are not UTF-8"), std::string::npos);
}

}  // namespace
}  // namespace longview
