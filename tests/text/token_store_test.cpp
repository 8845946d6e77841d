// Tokens of texts: the same from memory, from a cache just made and from one that was there; damaged and stale caches are made again.
#include "longview/text/token_store.h"

#include <fstream>

#include "longview/base/check.h"
#include "tests/temporary_folder.h"

namespace longview {
namespace {

struct TokenStoreTest : testing::TemporaryFolder {
  std::vector<std::string> notes;

  void put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((root / name).parent_path());
    std::ofstream(root / name, std::ios::binary) << text;
  }
  TokenStore made(const Tokenizer& tokenizer, bool cached = true) {
    return tokens_of({(root / "books").string()}, tokenizer,
                     {cached ? root / "cache" : "", [&](std::string_view note) { notes.emplace_back(note); }});
  }
  std::filesystem::path cache() const { return std::filesystem::directory_iterator(root / "cache")->path(); }
  static std::vector<std::vector<Id>> all(const TokenStore& store) {
    std::vector<std::vector<Id>> out;
    for (int64_t text = 0; text < store.texts(); ++text) {
      out.emplace_back();
      for (int64_t at = store.begin(text); at < store.end(text); ++at) out.back().push_back(store[at]);
    }
    return out;
  }
};

std::unique_ptr<Tokenizer> plain_bytes() {
  TokenizerSpec spec;
  spec.model = "byte";
  return make_tokenizer(std::move(spec));
}

std::unique_ptr<Tokenizer> wide() {  // more ids than two bytes have
  TokenizerSpec spec;
  spec.model = "byte";
  spec.tokens.resize(70000);
  spec.kinds.resize(70000, TokenKind::control);
  for (size_t id = 256; id < spec.tokens.size(); ++id) spec.tokens[id] = "<" + std::to_string(id) + ">";
  return make_tokenizer(std::move(spec));
}

TEST_F(TokenStoreTest, IsTheTokensOfTheTextsWhereverItIsKept) {
  put("books/a.txt", "In the beginning\n");
  put("books/b.txt", "\xC3\xA4 second text");
  put("books/c.txt", "");
  std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  tokenizers.push_back(plain_bytes());
  tokenizers.push_back(wide());
  for (const auto& tokenizer : tokenizers) {
    const std::vector<std::vector<Id>> expected = {tokenizer->encode("In the beginning\n"),
                                                   tokenizer->encode("\xC3\xA4 second text")};
    EXPECT_EQ(all(made(*tokenizer, false)), expected);
    EXPECT_EQ(all(made(*tokenizer)), expected);
    EXPECT_EQ(all(made(*tokenizer)), expected);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root / "cache"), {}), 2);  // one a tokenizer
  EXPECT_TRUE(notes.empty());
}

TEST_F(TokenStoreTest, ADamagedOrStaleCacheIsMadeAgain) {
  const auto tokenizer = plain_bytes();
  put("books/a.txt", "In the beginning\n");
  const auto expected = all(made(*tokenizer));
  const std::string good = read_text(cache());
  std::vector<std::string> bad = {"", good.substr(0, good.size() - 1), good.substr(8), good + good};
  for (size_t at = 0; at < good.size(); ++at) {
    bad.push_back(good);
    bad.back()[at] ^= 4;
  }
  for (const auto& bytes : bad) {
    notes.clear();
    std::ofstream(cache(), std::ios::binary) << bytes;
    EXPECT_EQ(all(made(*tokenizer)), expected);
    EXPECT_EQ(notes.size(), 1u);
    EXPECT_EQ(read_text(cache()), good);
  }
  notes.clear();
  put("books/a.txt", "In another beginning\n");
  EXPECT_EQ(all(made(*tokenizer)).at(0), tokenizer->encode("In another beginning\n"));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("the texts have changed"), std::string::npos);
}

TEST_F(TokenStoreTest, AFileThatVanishedAndAFullDiskSaySo) {
  const auto tokenizer = plain_bytes();
  put("books/a.txt", "In the beginning\n");
  const auto store = made(*tokenizer);
  const auto name = cache();
  std::filesystem::remove(name);
  std::filesystem::create_symlink("/dev/full", name);
  const auto error = [&] {
    try {
      made(*tokenizer);
    } catch (const Error& thrown) {
      return std::string(thrown.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(error().find("No space left"), std::string::npos) << error();
  std::filesystem::remove_all(root / "books");
  EXPECT_NE(error().find("[data] there is no"), std::string::npos) << error();
  EXPECT_EQ(all(store).at(0), tokenizer->encode("In the beginning\n"));  // what is mapped stays
}

}  // namespace
}  // namespace longview
