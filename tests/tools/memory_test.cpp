// A model with a compressive memory as a person uses it: reading, saving, killed and gone on, in a budget.
#include "tests/tools/child.h"

namespace longview::testing {
namespace {

struct ProgramMemory : Program {
  std::string model;
  void SetUp() override {
    Program::SetUp();
    model = with_memory();
    book = write("book.txt", tale(2000));
  }
  std::string checksum(const std::string& state) const { return run({"state", "info", state, "--json", "-"}).json()["checksum"]; }
};

TEST_F(ProgramMemory, ReadsInConstantMemoryAndSaysHowMuch) {
  const Ended ended = run({"read", book, "-m", model, "--max-tokens", "20000", "--json", "-", "-q", "--save", at("s")});
  ASSERT_EQ(ended.status, 0) << ended.err;
  const Json json = ended.json();
  EXPECT_EQ(json["attention"].get<std::string>().rfind("infini:segment=32", 0), 0U);
  // 2 layers of one key head of 16 features: M and z; 20,000 = 625 segments of 32, so nothing is pending
  EXPECT_EQ(json["state_bytes"], 4 * 2 * 16 * (16 + 1));
  EXPECT_LT(json["rss_end_bytes"].get<int64_t>() - json["rss_tenth_bytes"].get<int64_t>(), 8 << 20);
  const Json state = run({"state", "info", at("s"), "-m", model, "--json", "-"}).json();
  ASSERT_EQ(state["memory"].size(), 2U);
  EXPECT_GT(state["memory"][0]["z_mean"].get<double>(), 20000 * 0.3);
  EXPECT_NEAR(state["memory"][1]["gates"][0].get<double>(), std::tanh(0.5), 1e-6);
}

TEST_F(ProgramMemory, GoesOnToTheBit) {
  const Words read{"read", book, "-m", model, "-q", "--chunk", "50"};
  ASSERT_EQ(run(read + Words{"--max-tokens", "2010", "--save", at("whole")}).status, 0);
  ASSERT_EQ(run(read + Words{"--max-tokens", "1250", "--save", at("part")}).status, 0);
  const Ended rest = run(read + Words{"--max-tokens", "2010", "--state", at("part"), "--save", at("rest")});
  ASSERT_EQ(rest.status, 0) << rest.err;
  EXPECT_EQ(checksum(at("whole")), checksum(at("rest")));
  EXPECT_NE(checksum(at("whole")), checksum(at("part")));
}

TEST_F(ProgramMemory, AKilledReadGoesOnFromItsLastSavedStateToTheBit) {
  const Words read{"read", book, "-m", model, "-q", "--max-tokens", "20000", "--chunk", "100"};
  ASSERT_EQ(run(read + Words{"--save", at("whole")}).status, 0);
  {
    Child child(read + Words{"--save", at("s"), "--save-every", "500"});
    while (child.is_running() && !fs::exists(at("s"))) std::this_thread::sleep_for(std::chrono::microseconds(200));
    child.send(SIGKILL);
    child.wait();
  }
  const int64_t tokens = run({"state", "info", at("s"), "--json", "-"}).json()["tokens"];
  EXPECT_GT(tokens, 0);
  EXPECT_LT(tokens, 20000) << "it was done before it was killed";
  EXPECT_EQ(tokens % 500, 0);
  ASSERT_EQ(run(read + Words{"--state", at("s"), "--save", at("s")}).status, 0);
  EXPECT_EQ(checksum(at("whole")), checksum(at("s")));
}

TEST_F(ProgramMemory, ABudgetIsRefusedAtOnceOrHeld) {
  expect_error({"read", book, "-m", model, "--mem-budget", "20M"}, {"--mem-budget 20 MiB is not enough", "are in use", "state of"});
  const Ended held = run({"read", book, "-m", model, "--mem-budget", "1G", "--json", "-", "-q"});
  ASSERT_EQ(held.status, 0) << held.err;
  EXPECT_LE(held.json()["rss_peak_bytes"].get<int64_t>(), int64_t{1} << 30);
  expect_error({"read", book, "-m", smollm, "--mem-budget", "500M", "--attention", "full"},
               {"is not enough", "--attention streaming"});
}

TEST_F(ProgramMemory, TheReportShowsGatesAndWhatTheMemoryIsWorth) {
  const Ended ended = run({"read", book, "-m", model, "--max-tokens", "2000", "--report", at("r.html"), "--json", "-"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(ended.json()["runs"].size(), 2U);
  EXPECT_NE(ended.json()["runs"][0]["nll"], ended.json()["runs"][1]["nll"]);
  const std::string page = read_text(at("r.html"));
  for (const char* part : {"gates", "memory off", "The memory along the text", "0.462"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
}

TEST_F(ProgramMemory, WhatDoesNotFitIsRefused) {
  ASSERT_EQ(run({"read", book, "-m", model, "--max-tokens", "300", "--save", at("s"), "-q"}).status, 0);
  expect_error({"read", write("other.txt", "Another text. " + tale(60)), "-m", model, "--state", at("s")},
               {"not the first ones of other.txt"});
  expect_error({"read", book, "-m", model, "--max-tokens", "200", "--state", at("s")}, {"has read 300 tokens"});
  expect_error({"read", book, "-m", llama, "--state", at("s")}, {"was made with the model"});
  expect_error({"read", book, "-m", model, "--state", at("s"), "--attention", "infini:segment=16"},
               {"was read with", "asked for is"});
  expect_error({"read", book, "-m", model, "--save-every", "10"}, {"--save-every needs a file"});
  expect_error({"read", book, "-m", llama, "--attention", "infini"}, {"has no gates for a memory", "--add-infini"});
  expect_error({"read", book, "-m", model, "--attention", "infini:segment=0"}, {"segment must be at least 1; got 0"});
  expect_error({"read", book, "-m", model, "--attention", "infini:segment=65"}, {"more than the 64 tokens"});
  expect_error({"state", "info", at("s"), "-m", llama}, {"was made with the model"});
}

}  // namespace
}  // namespace longview::testing
