// Folders that are there whole or not at all.
#include "longview/base/folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "longview/base/check.h"
#include "longview/base/file.h"
#include "tests/temporary_folder.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

using FolderTest = testing::TemporaryFolder;

using AtomicFolders = FolderTest;

TEST_F(AtomicFolders, AppearWhenTheyAreCommitted) {
  for (const char* name : {"out", "with-slash/"}) {
    AtomicFolder folder(root / name);
    write_file(folder / "a", "1");
    EXPECT_FALSE(fs::exists(root / name));
    folder.commit();
    EXPECT_EQ(read_text(root / name / "a"), "1");
  }
  EXPECT_EQ(entries(), 2U);
}

TEST_F(AtomicFolders, MayBeNamedFromWhereTheProcessIs) {
  const fs::path before = fs::current_path();
  fs::current_path(root);
  AtomicFolder fresh("fresh");
  fs::current_path(before);
  fresh.commit();
  EXPECT_TRUE(fs::is_directory(root / "fresh"));
}

TEST_F(AtomicFolders, LeaveNothingWithoutACommit) {
  { write_file(AtomicFolder(root / "out") / "a", "1"); }
  EXPECT_EQ(entries(), 0U);
}

TEST_F(AtomicFolders, ReplaceWhatWasThere) {
  fs::create_directory(root / "empty");
  fs::create_directory(root / "full");
  write_file(root / "full/old", "0");
  for (const char* name : {"empty", "full"}) {
    AtomicFolder folder(root / name);
    write_file(folder / "a", "1");
    EXPECT_FALSE(fs::exists(root / name / "a"));
    folder.commit();
    EXPECT_EQ(read_text(root / name / "a"), "1");
    EXPECT_FALSE(fs::exists(root / name / "old"));
  }
  EXPECT_EQ(entries(), 2U);
}

TEST_F(AtomicFolders, StayLinks) {
  fs::create_directory(root / "real");
  fs::create_directory_symlink("real", root / "link");
  AtomicFolder folder(root / "link");
  write_file(folder / "a", "1");
  folder.commit();
  EXPECT_TRUE(fs::is_symlink(root / "link"));
  EXPECT_EQ(read_text(root / "real/a"), "1");
}

TEST_F(AtomicFolders, SayWhyTheyCannotBeWritten) {
  write_file(root / "file", "");
  const auto error_of = [](const fs::path& path) -> std::string {
    try {
      const AtomicFolder folder(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(error_of(root / "file").find("is a file"), std::string::npos);
  EXPECT_NE(error_of(root / "no/such").find("there is no folder"), std::string::npos);
  EXPECT_NE(error_of("/proc/out").find("cannot write '/proc/out'"), std::string::npos);
  EXPECT_EQ(entries(), 1U);
}

}  // namespace
}  // namespace longview
