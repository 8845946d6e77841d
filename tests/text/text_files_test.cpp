// Texts of files, folders, JSON lines and archives; archives are made by the tar that is installed.
#include "longview/text/text_files.h"

#include <cstdlib>
#include <fstream>

#include "longview/base/check.h"
#include "longview/base/file.h"
#include "tests/temporary_folder.h"

namespace longview {
namespace {

using Texts = std::vector<std::pair<std::string, std::string>>;

struct TextFilesTest : testing::TemporaryFolder {
  std::string put(const std::string& name, const std::string& text) const {
    const auto path = root / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  /// Names without the folder.
  Texts texts(TextFiles files) const {
    Texts out;
    each_text(files, [&](std::string_view name, std::string_view text) {
      out.emplace_back(std::string(name).substr(root.string().size() + 1), text);
    });
    return out;
  }
  std::string error(const TextFiles& files) const {
    try {
      each_text(files, [](auto, auto) {});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  bool shell(const std::string& command) const {
    return std::system(("cd '" + root.string() + "' && (" + command + ") >/dev/null 2>&1").c_str()) == 0;
  }
  std::string in(const std::string& name) const { return (root / name).string(); }
};

TEST_F(TextFilesTest, FoldersAreReadInOrderAndHiddenFilesAreNot) {
  put("books/b.txt", "second");
  put("books/a/z.md", "first");
  put("books/.hidden", "no");
  put("books/.git/x", "no");
  put("books/c.txt", "");
  EXPECT_EQ(texts({in("books")}), (Texts{{"books/a/z.md", "first"}, {"books/b.txt", "second"}}));
  EXPECT_EQ(texts({in("books/b.txt") + ":" + in("books/a")}), (Texts{{"books/b.txt", "second"}, {"books/a/z.md", "first"}}));
  EXPECT_EQ(texts({in("books"), "text", "a/"}), (Texts{{"books/a/z.md", "first"}}));
  EXPECT_EQ(texts({in("books") + "/", "text", "a/"}), (Texts{{"books/a/z.md", "first"}}));
  EXPECT_EQ(texts({in("books/a/z.md"), "text", "z"}), (Texts{{"books/a/z.md", "first"}}));
  for (const char* above : {"books", "longview", "/"})
    for (const char* path : {"books/a", "books/b.txt"})
      EXPECT_EQ(texts({in(path), "text", above}), Texts{}) << "the folder that a text is in is not of its name below the path";
}

TEST_F(TextFilesTest, LinesOfJson) {
  put("a.jsonl", "{\"text\":\"one\\n\",\"id\":1}\n\n{\"id\":2,\"text\":\"\"}\r\n{\"text\":\"three\"}");
  EXPECT_EQ(texts({in("a.jsonl")}), (Texts{{"a.jsonl:1", "one\n"}, {"a.jsonl:4", "three"}}));
  put("b.jsonl", "{\"body\":\"x\"}\n{\"text\":\"y\"}\n");
  EXPECT_NE(error({in("b.jsonl")}).find("b.jsonl:1 has no text in its field 'text'"), std::string::npos);
  EXPECT_NE(error({in("b.jsonl"), "body"}).find("b.jsonl:2 has no text in its field 'body'"), std::string::npos);
  put("c.jsonl", "{\"text\":\"y\"}\n{\"text\":\n");
  EXPECT_NE(error({in("c.jsonl")}).find("c.jsonl:2"), std::string::npos) << error({in("c.jsonl")});
}

TEST_F(TextFilesTest, ArchivesPlainAndPacked) {
  const std::string name(140, 'n'), large(3000000, 'x');
  put("books/one.txt", "first text");
  put("books/" + name + "/" + name + ".txt", large);
  put("books/lines.jsonl", "{\"text\":\"a line\"}\n");
  for (const std::string format : {"gnu", "pax", "ustar"}) {
    const std::string all = format == "ustar" ? "books/one.txt books/lines.jsonl" : "books";  // its names are short
    ASSERT_TRUE(shell("tar --sort=name --format=" + format + " -cf a.tar " + all + " && xz -kf a.tar && rm -f a.tar.zst"))
        << format;
    const auto plain = texts({in("a.tar")});
    ASSERT_EQ(plain.size(), format == "ustar" ? 2u : 3u);
    for (const auto& [path, text] : plain)
      if (path == "a.tar/books/one.txt") EXPECT_EQ(text, "first text");
      else if (path == "a.tar/books/lines.jsonl:1") EXPECT_EQ(text, "a line");
      else EXPECT_TRUE(path == "a.tar/books/" + name + "/" + name + ".txt" && text == large) << path;
    auto packed = texts({in("a.tar.xz")});
    ASSERT_EQ(packed.size(), plain.size());
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(packed[i].second, plain[i].second);
    if (!shell("zstd -q a.tar -o a.tar.zst")) continue;  // not installed everywhere
    packed = texts({in("a.tar.zst")});
    ASSERT_EQ(packed.size(), plain.size());
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(packed[i].second, plain[i].second);
  }
  EXPECT_EQ(texts({in("a.tar"), "text", "one"}), (Texts{{"a.tar/books/one.txt", "first text"}}));
  EXPECT_EQ(texts({in("a.tar"), "text", "a.tar"}), Texts{});
  ASSERT_TRUE(shell("mkdir more && mv a.tar more"));
  EXPECT_EQ(texts({in("more"), "text", "a.tar/books/one"}), (Texts{{"more/a.tar/books/one.txt", "first text"}}));
}

TEST_F(TextFilesTest, DamagedArchivesSaySo) {
  put("books/one.txt", std::string(20000, 'a') + "b");
  put("books/two.txt", "second");
  ASSERT_TRUE(shell("tar --sort=name -cf a.tar books && xz -k a.tar"));
  const std::string tar = read_text(in("a.tar")), xz = read_text(in("a.tar.xz"));
  put("b.tar", tar.substr(0, 9000));
  EXPECT_NE(error({in("b.tar")}).find("b.tar' is damaged at byte 9000: the archive ends inside a file"), std::string::npos);
  put("b.tar", tar.substr(0, 512 + 512 + 20480));
  EXPECT_NE(error({in("b.tar")}).find("it was cut off"), std::string::npos);
  std::string changed = tar;
  changed[20] ^= 1;
  put("b.tar", changed);
  EXPECT_NE(error({in("b.tar")}).find("this is no tar header"), std::string::npos);
  for (const size_t cut : {xz.size() - 1, xz.size() / 2, size_t{20}}) {
    put("b.tar.xz", xz.substr(0, cut));
    EXPECT_NE(error({in("b.tar.xz")}).find("b.tar.xz' is damaged"), std::string::npos) << cut;
  }
  for (size_t at = 8; at < xz.size(); at += 7) {  // no damage goes unseen: xz has checksums
    changed = xz;
    changed[at] ^= 0x10;
    put("b.tar.xz", changed);
    EXPECT_NE(error({in("b.tar.xz")}), "no error") << at;
  }
  put("b.tar", "\x1F\x8B garbage");
  EXPECT_NE(error({in("b.tar")}).find("is gzip"), std::string::npos);
  put("b.tar", "");
  EXPECT_NE(error({in("b.tar")}).find("no end mark"), std::string::npos);
}

TEST_F(TextFilesTest, WhatIsMissingOrNoText) {
  EXPECT_NE(error({in("gone.txt")}).find("[data] there is no '" + in("gone.txt") + "'"), std::string::npos);
  std::filesystem::create_directory(root / "empty");
  EXPECT_NE(error({in("empty")}).find("has no files"), std::string::npos);
  EXPECT_NE(error({""}).find("path= must name"), std::string::npos);
  put("binary", std::string("a\0b", 3));
  EXPECT_NE(error({in("binary")}).find("is NUL"), std::string::npos);
}

}  // namespace
}  // namespace longview
