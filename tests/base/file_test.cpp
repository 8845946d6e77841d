// Files: mapped, and replaced so that a full disk or a kill leaves the old content or the new one.
#include "longview/base/file.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "longview/base/check.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

/// A folder of its own, removed at the end of the test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "longview-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }
  size_t files() const { return static_cast<size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator{})); }

 private:
  fs::path path_;
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

TEST(MappedFile, HoldsTheBytesAndCopiesShareThem) {
  const Folder folder;
  write_file(folder / "x", "longview");
  auto first = std::make_unique<MappedFile>(folder / "x");
  const MappedFile second = *first;
  EXPECT_EQ(first->bytes().data(), second.bytes().data());
  first.reset();
  fs::remove(folder / "x");
  EXPECT_EQ(second.text(), "longview");
}

TEST(MappedFile, ReleasedPagesComeBack) {
  const Folder folder;
  const std::string content(1'000'003, 'q');
  write_file(folder / "x", content);
  const MappedFile file(folder / "x");
  file.release(file.bytes());
  file.release(file.bytes().subspan(12'345, 100'000));
  file.release({});
  EXPECT_EQ(file.text(), content);
}

TEST(MappedFile, EmptyMissingAndFolders) {
  const Folder folder;
  write_file(folder / "empty", "");
  EXPECT_TRUE(MappedFile(folder / "empty").bytes().empty());
  EXPECT_EQ(read_text(folder / "empty"), "");
  EXPECT_NE(message([&] { MappedFile(folder / "missing"); }).find("No such file"), std::string::npos);
  EXPECT_NE(message([&] { MappedFile(folder / "."); }).find("is a folder"), std::string::npos);
  EXPECT_NE(message([&] { read_text(folder / "missing"); }).find("missing"), std::string::npos);
  EXPECT_NE(message([&] { read_text(folder / "."); }).find("is a folder"), std::string::npos);
  EXPECT_EQ(read_text("/proc/self/status").rfind("Name:", 0), 0u) << "a file whose size says 0";
}

RC_GTEST_PROP(AtomicFile, AnyBytesComeBack, (const std::string& content)) {
  const Folder folder;
  write_file(folder / "x", content);
  RC_ASSERT(read_text(folder / "x") == content);
  RC_ASSERT(folder.files() == 1u);
}

TEST(AtomicFile, NothingChangesBeforeCommit) {
  const Folder folder;
  write_file(folder / "x", "old");
  {
    AtomicFile file(folder / "x");
    file.write("ne");
    file.write("w");
    EXPECT_EQ(read_text(folder / "x"), "old");
  }
  EXPECT_EQ(read_text(folder / "x"), "old");
  EXPECT_EQ(folder.files(), 1u) << "the temporary stayed";
}

TEST(AtomicFile, SaysWhyItCannotWrite) {
  const Folder folder;
  EXPECT_NE(message([&] { write_file(folder / "no/such/x", "a"); }).find("No such file"), std::string::npos);
  EXPECT_NE(message([&] { write_file(folder / ".", "a"); }).find("is a folder"), std::string::npos);
}

TEST(MappedFile, APipeIsReadToItsEnd) {
  const Folder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const std::string content(300'000, 'p');
  std::thread writer([&] { std::ofstream(folder / "pipe") << content; });
  const MappedFile file(folder / "pipe");
  writer.join();
  EXPECT_EQ(file.text(), content);
  release_pages(file.bytes());
  EXPECT_EQ(file.text(), content);
}

TEST(AtomicFile, APipeIsWrittenToAndStaysAPipe) {  // as a device is: /dev/null must not become a file
  const Folder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::string got;
  std::thread reader([&] { got = read_text(folder / "pipe"); });
  write_file(folder / "pipe", "through");
  reader.join();
  EXPECT_EQ(got, "through");
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
  EXPECT_EQ(folder.files(), 1u);
}

TEST(AtomicFile, ALinkStaysAndItsTargetIsWritten) {
  const Folder folder;
  write_file(folder / "target", "old");
  fs::create_symlink("target", folder / "link");
  write_file(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_text(folder / "target"), "new");
}

/// Runs `body` in a child process; its return value is the child's exit code.
template <class Body>
pid_t child(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  return pid;
}

TEST(AtomicFile, AFullDiskLeavesTheOldContentAndNoTemporary) {
  const Folder folder;
  write_file(folder / "x", "old");
  const pid_t pid = child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);  // the write that crosses it is short, the next one fails
    const std::string why = message([&] { write_file(folder / "x", std::string(1 << 20, 'n')); });
    return why.find("cannot write") != std::string::npos && why.find("too large") != std::string::npos ? 0 : 1;
  });
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(read_text(folder / "x"), "old");
  EXPECT_EQ(folder.files(), 1u) << "the temporary stayed";
}

TEST(AtomicFile, AKillInTheMiddleLeavesOneWholeContent) {
  const Folder folder;
  constexpr size_t kSize = 3 << 20;
  write_file(folder / "x", std::string(kSize, 'a'));
  for (int round = 0; round < 25; ++round) {
    const pid_t pid = child([&] {
      for (char letter = 'a';; letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1))
        write_file(folder / "x", std::string(kSize, letter));
      return 0;
    });
    std::this_thread::sleep_for(std::chrono::microseconds(1'000 + 977 * round));
    ::kill(pid, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    const std::string content = read_text(folder / "x");
    ASSERT_EQ(content.size(), kSize);
    ASSERT_EQ(content.find_first_not_of(content[0]), std::string::npos) << "a mixture of two saves";
  }
}

}  // namespace
}  // namespace longview
