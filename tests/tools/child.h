// Runs the program in a child process and keeps what it wrote.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "longview/base/check.h"
#include "longview/base/file.h"
#include "longview/base/json.h"

namespace longview::testing {

using Words = std::vector<std::string>;
namespace fs = std::filesystem;

struct Ended {
  int status = 0;  // exit status, or minus the signal that ended it
  std::string out, err;
  Json json() const { return parse_json(out, "standard output"); }
};

/// A child that runs `longview WORDS...` with `input` on standard input. Files it writes end at `file_limit` bytes: a full disk. Its
/// environment is this process's and `variables`, "NAME=VALUE".
class Child {
 public:
  explicit Child(const Words& words, const std::string& input = "", rlim_t file_limit = RLIM_INFINITY,
                 const Words& variables = {}) {
    int in[2], out[2], err[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) throw Error("no pipes");
    std::vector<char*> arguments{const_cast<char*>(LONGVIEW_PROGRAM)};
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::vector<char*> environment;
    for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
    for (const auto& variable : variables) environment.push_back(const_cast<char*>(variable.c_str()));
    environment.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], 0), ::dup2(out[1], 1), ::dup2(err[1], 2);
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{file_limit, file_limit};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      ::execve(LONGVIEW_PROGRAM, arguments.data(), environment.data());
      ::_exit(127);
    }
    ::close(in[0]), ::close(out[1]), ::close(err[1]);
    reader_out_ = std::thread([this, end = out[0]] { collect(end, ended_.out); });
    reader_err_ = std::thread([this, end = err[0]] { collect(end, ended_.err); });
    ::signal(SIGPIPE, SIG_IGN);
    if (::write(in[1], input.data(), input.size()) < 0) ended_.err += "(no input taken)";
    ::close(in[1]);
  }
  ~Child() {
    if (pid_ > 0) send(SIGKILL), wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void send(int signal) const { ::kill(pid_, signal); }
  bool is_running() {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
  }
  Ended wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    reader_out_.join(), reader_err_.join();
    ended_.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return ended_;
  }

 private:
  static void collect(int end, std::string& into) {
    char part[4096];
    for (ssize_t size = 0; (size = ::read(end, part, sizeof part)) > 0;) into.append(part, static_cast<size_t>(size));
    ::close(end);
  }

  pid_t pid_ = -1;
  Ended ended_;
  std::thread reader_out_, reader_err_;
};

inline Ended run(const Words& words, const std::string& input = "") { return Child(words, input).wait(); }

inline Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A folder of its own for each test, with a short book in it.
class Program : public ::testing::Test {
 protected:
  const std::string stories = LONGVIEW_GOLDEN "/models/stories260K/stories260K.bin", llama = LONGVIEW_GOLDEN "/models/llama";
  const std::string smollm = LONGVIEW_MODELS "/SmolLM2-135M-Instruct.Q4_1.gguf";
  fs::path folder;
  std::string book, memory_model;

  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "longview_program_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
    book = write("book.txt", tale(60));
    memory_model = at("gated");
  }
  void TearDown() override { fs::remove_all(folder); }

  std::string at(const std::string& name) const { return (folder / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name, std::ios::binary) << text;
    return at(name);
  }
  std::set<std::string> files() const {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder)) out.insert(entry.path().filename().string());
    return out;
  }
  /// The tiny model with the gates of a memory, half open; segments of 32 tokens.
  std::string with_memory() const {
    if (fs::exists(memory_model)) return memory_model;
    const Ended made = run({"convert", llama, memory_model, "--add-infini=infini:segment=32", "--beta", "0.5", "-q"});
    EXPECT_EQ(made.status, 0) << made.err;
    return memory_model;
  }
  /// Simple words that both tiny models have tokens for.
  static std::string tale(int sentences) {
    static const Words who{"Lily", "Tom", "the dog", "a little girl", "her mom"}, what{"saw", "liked", "found", "took"},
        things{"a big red ball", "the park", "a small cat", "a box of toys", "the sun", "a tree", "one cake"};
    std::string out;
    for (int n = 0; n < sentences; ++n) out += who[n % 5] + " " + what[n * 3 % 4] + " " + things[n * 5 % 7] + ". ";
    return out;
  }

  /// Fails in one line that names all of `parts`, with status 1, and leaves the folder as it was.
  void expect_error(const Words& words, const Words& parts, rlim_t file_limit = RLIM_INFINITY) const {
    const auto before = files();
    const Ended ended = Child(words + Words{"-q"}, "", file_limit).wait();
    check_error(ended, words, parts);
    EXPECT_EQ(files(), before);
  }
  static void check_error(const Ended& ended, const Words& words, const Words& parts) {
    std::string line = "longview";
    for (const auto& word : words) line += " " + word;
    SCOPED_TRACE(line);
    EXPECT_EQ(ended.status, 1) << ended.err;
    EXPECT_EQ(ended.err.rfind("longview", 0), 0U) << ended.err;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
    for (const auto& part : parts) EXPECT_NE(ended.err.find(part), std::string::npos) << "no '" << part << "' in: " << ended.err;
  }
};

}  // namespace longview::testing
