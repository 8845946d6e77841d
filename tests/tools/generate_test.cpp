// longview generate: the documented text, texts past the window, states that go on as if never left, interruptions.
#include "longview/checkpoint/safetensors.h"
#include "tests/tools/child.h"

namespace longview::testing {
namespace {

using ProgramGenerate = Program;

TEST_F(ProgramGenerate, WritesTheDocumentedGreedyText) {
  const Ended ended = run({"generate", "-m", stories, "-p", "", "-n", "60"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  const std::string text =
      "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red "
      "ball.";
  EXPECT_NE(ended.out.find(text), std::string::npos) << ended.out;
  EXPECT_EQ(run({"generate", "-m", stories, "-n", "60"}).out, ended.out);  // an empty pipe is an empty prompt
}

TEST_F(ProgramGenerate, TakesPromptsFromEverywhere) {
  const std::string want = run({"generate", "-m", stories, "-p", "Tom saw", "-n", "8", "-q"}).out;
  EXPECT_EQ(run({"generate", "-m", stories, "-f", write("p.txt", "Tom saw"), "-n", "8", "-q"}).out, want);
  EXPECT_EQ(run({"generate", "-m", stories, "-f", "-", "-n", "8", "-q"}, "Tom saw").out, want);
  EXPECT_EQ(run({"generate", "-m", stories, "-n", "8", "-q"}, "Tom saw").out, want);
}

TEST_F(ProgramGenerate, GoesOnPastTheWindowAndSaysSo) {
  const Ended ended =
      run({"generate", "-m", stories, "-f", book, "--attention", "streaming:window=64,sinks=4", "-n", "100", "--json", "-"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  const Json context = ended.json()["context"];
  EXPECT_GT(context["seen"], 500);
  EXPECT_EQ(context["kept"], 64);
  EXPECT_EQ(context["dropped"], context["seen"].get<int64_t>() - 64);
  EXPECT_NE(ended.err.find("64 kept"), std::string::npos) << ended.err;
}

TEST_F(ProgramGenerate, AWindowBeyondTheTrainedLengthIsAllowedAndWarnedOf) {
  const Ended ended = run({"generate", "-m", stories, "-f", book, "--attention", "window:window=4k", "-n", "3", "--json", "-"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(ended.json()["context"]["dropped"], 0);
  EXPECT_NE(ended.err.find("wider than the 512"), std::string::npos) << ended.err;
  const Ended read = run({"read", book, "-m", stories, "--attention", "window:window=4k", "--max-tokens", "600"});
  ASSERT_EQ(read.status, 0) << read.err;
  EXPECT_NE(read.err.find("wider than the 512"), std::string::npos) << read.err;
}

TEST_F(ProgramGenerate, StopsSeedsAndLengths) {
  const Words base{"generate", "-m", stories, "-p", "Once upon a time", "--json", "-"};
  const Json stopped = run(base + Words{"--stop", "Lily", "--stop", "zzz"}).json();
  EXPECT_EQ(stopped["end"], "stop");
  EXPECT_EQ(stopped["text"], ", there was a little girl named ");
  EXPECT_EQ(run(base + Words{"-n", "0"}).json()["ids"].size(), 0U);
  const Words warm = base + Words{"-n", "30", "--temp", "1", "--top-k", "40", "--top-p", "0.95", "--min-p", "0.01"};
  const Json first = run(warm + Words{"-s", "7"}).json();
  EXPECT_EQ(run(warm + Words{"--seed", "7"}).json()["ids"], first["ids"]);
  EXPECT_NE(run(warm + Words{"--seed", "8"}).json()["ids"], first["ids"]);
  const Json penalised = run(base + Words{"-n", "200", "--repeat-penalty", "1.3", "--repeat-last-n", "64"}).json();
  EXPECT_NE(penalised["text"], run(base + Words{"-n", "200"}).json()["text"]);
}

TEST_F(ProgramGenerate, LlamaCppSpellings) {
  const auto context = [&](const Words& words) {
    const Ended ended = run(Words{"generate", "-m", stories, "-p", "a", "-n", "1", "--json", "-"} + words);
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended.json()["context"];
  };
  EXPECT_EQ(context({"--keep", "8"})["attention"], "streaming:window=512,sinks=8");
  EXPECT_EQ(context({"--keep", "8", "--attention", "streaming:window=100"})["attention"], "streaming:window=100,sinks=8");
  EXPECT_EQ(context({"-c", "1k"})["attention"], "streaming:window=1024,sinks=4");
  EXPECT_EQ(context({"-c", "96", "--keep", "0"})["attention"], "streaming:window=96,sinks=0");
  EXPECT_EQ(context({"-c", "96", "--attention", "window"})["attention"], "window:window=96");
  EXPECT_EQ(context({"--rope-freq-base", "40000"})["position"], "rope:base=40000");
  EXPECT_EQ(context({"--rope-freq-scale", "0.25"})["position"], "linear:factor=4");
  const std::string yarn = context({"--rope-scaling", "yarn", "--rope-freq-scale", "0.5", "--yarn-orig-ctx", "256"})["position"];
  EXPECT_EQ(yarn.rfind("yarn:factor=2,original=256,", 0), 0U) << yarn;
}

TEST_F(ProgramGenerate, AChatGoesOnPastTheWindow) {
  const Ended ended =
      run({"generate", "-m", smollm, "--chat", "--attention", "streaming:window=48,sinks=4", "-n", "8", "--json", "-"},
          "My name is Ann.\nWhat is two plus two?\nThank you.\n");
  ASSERT_EQ(ended.status, 0) << ended.err;
  const Json json = ended.json();
  EXPECT_EQ(json["messages"].size(), 6U);
  EXPECT_EQ(json["messages"][2]["content"], "What is two plus two?");
  EXPECT_EQ(json["messages"][5]["content"], json["text"]);
  EXPECT_EQ(json["context"]["kept"], 48);
  EXPECT_GT(json["context"]["dropped"], 0);
  EXPECT_NE(ended.err.find("48 kept"), std::string::npos) << ended.err;
}

using ProgramNbce = Program;

TEST_F(ProgramNbce, SaysWhichContextAnswered) {
  const std::string a = write("a.txt", "Tom saw a big red ball."), b = write("b.txt", "Lily liked the park. " + tale(3));
  const Words words{"generate", "-m", stories, "--nbce", "max:beta=1", "--context", a, "--context", b, "-p", "Once", "-n", "20"};
  const Ended ended = run(words + Words{"--json", "-"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  const Json json = ended.json(), nbce = json["nbce"];
  EXPECT_EQ(nbce["setting"], "max:beta=1,eta=0.1,top_p=0.95,tau=0.01");
  ASSERT_EQ(nbce["contexts"].size(), 2U);
  EXPECT_EQ(nbce["contexts"][0]["name"], "a.txt");
  EXPECT_EQ(nbce["contexts"][1]["begins"].get<std::string>().rfind("Lily liked", 0), 0U);
  EXPECT_EQ(nbce["contexts"][0]["answered"].get<int64_t>() + nbce["contexts"][1]["answered"].get<int64_t>(), 20);
  ASSERT_EQ(nbce["tokens"].size(), json["ids"].size());
  std::string text;
  for (const auto& token : nbce["tokens"]) text += token["text"];
  EXPECT_EQ(text, json["text"]);
  EXPECT_NE(ended.err.find("a.txt"), std::string::npos) << ended.err;
  EXPECT_EQ(run(words + Words{"-q"}).err, "");
}

TEST_F(ProgramNbce, ALongFileIsCut) {
  const auto contexts = [&](const Words& more) {
    const Ended ended =
        run(Words{"generate", "-m", stories, "--nbce", "--context", book, "-p", "Lily", "-n", "4", "--json", "-"} + more);
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended.json()["nbce"]["contexts"];
  };
  const Json usual = contexts({});
  EXPECT_GT(usual.size(), 3U);
  EXPECT_EQ(usual[1]["name"].get<std::string>().rfind("book.txt 2/", 0), 0U) << usual[1]["name"];
  for (const auto& one : usual) EXPECT_LE(one["tokens"], 512 / 4 + 8) << "a quarter of the trained length, and the question";
  EXPECT_EQ(contexts({"--context-tokens", "4k"}).size(), 1U);
  EXPECT_GT(contexts({"--context-tokens", "32"}).size(), usual.size());
}

TEST_F(ProgramNbce, OneContextWithoutBetaIsThePromptAfterIt) {
  const std::string text = tale(5);
  const Words more{"-n", "12", "--temp", "0", "--json", "-"};
  const Json nbce =
      run(Words{"generate", "-m", stories, "--nbce", "entropy:beta=0", "--context", write("c.txt", text), "-p", "Lily"} + more)
          .json();
  const Json plain = run(Words{"generate", "-m", stories, "-p", text.substr(0, text.size() - 1) + "\n\nLily"} + more).json();
  EXPECT_EQ(nbce["ids"], plain["ids"]);
}

using ProgramResume = Program;

std::map<std::string, std::string> tensors(const std::string& path) {
  const MappedFile file(path);
  std::map<std::string, std::string> out;
  for (const auto& [name, entry] : read_safetensors(file.bytes(), path).tensors)
    out[name].assign(entry.bytes.begin(), entry.bytes.end());
  return out;
}

TEST_F(ProgramResume, ASavedStateGoesOnToTheBit) {
  for (const std::string attention : {"full", "streaming:window=100,sinks=4", "window:window=64"}) {
    const Words method{"-m", stories, "--attention", attention};
    ASSERT_EQ(run(Words{"read", book, "--save", at("s"), "-q"} + method).status, 0);
    const Words more{"-n", "40", "--temp", "1", "--json", "-", "-q"};
    const Ended resumed = run(Words{"generate", "-m", stories, "--state", at("s"), "--save", at("resumed")} + more);
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    const Ended whole = run(Words{"generate", "-f", book, "--save", at("whole")} + method + more);
    EXPECT_EQ(resumed.json()["ids"], whole.json()["ids"]) << attention;
    // The states afterwards are the same bits: same tensors, same digest; only the name of the text differs.
    const Json a = run({"state", "info", at("resumed"), "--json", "-"}).json();
    const Json b = run({"state", "info", at("whole"), "--json", "-"}).json();
    EXPECT_EQ(a["token_digest"], b["token_digest"]);
    EXPECT_EQ(tensors(at("resumed")), tensors(at("whole"))) << attention;
  }
}

TEST_F(ProgramResume, ASavedAnswerGoesOnWhereItEnded) {
  const Words generate{"generate", "-m", stories, "--json", "-", "-q"};
  const Json whole = run(generate + Words{"-p", "Once", "-n", "20"}).json();
  Json ids = run(generate + Words{"-p", "Once", "-n", "12", "--save", at("s")}).json()["ids"];
  const Json more = run(generate + Words{"--state", at("s"), "-n", "8"}).json()["ids"];
  for (const auto& id : more) ids.push_back(id);
  EXPECT_EQ(ids, whole["ids"]);
}

TEST_F(ProgramResume, AStateOfTheRealModelVerifies) {
  ASSERT_EQ(run({"read", book, "-m", smollm, "--max-tokens", "40", "--save", at("s"), "-q"}).status, 0);
  const Ended verify = run({"state", "verify", at("s"), "-m", smollm});
  EXPECT_EQ(verify.status, 0) << verify.err;
  EXPECT_NE(verify.out.find("goes on from token 40"), std::string::npos) << verify.out;
}

using ProgramInterrupt = Program;

/// Sends the signal so many seconds after the program began.
Ended interrupt(const Words& words, int signal, double seconds) {
  Child child(words);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  child.send(signal);
  return child.wait();
}

TEST_F(ProgramInterrupt, AReadKeepsWhatWasRead) {
  const std::string endless = write("endless.txt", tale(40'000));
  Ended ended;
  // The program listens once its options are read; on a busy machine that takes a while.
  for (double wait = 2; wait < 60; wait *= 2) {
    ended = interrupt({"read", endless, "-m", stories, "--chunk", "64", "--json", at("j"), "--save", at("s")}, SIGINT, wait);
    if (ended.status == 0) break;
  }
  ASSERT_EQ(ended.status, 0) << ended.err;
  const Json json = parse_json(read_text(at("j")), "j");
  EXPECT_TRUE(json["interrupted"]);
  EXPECT_GE(json["tokens"], 64);
  EXPECT_NE(ended.out.find("interrupted"), std::string::npos) << ended.out;
  EXPECT_EQ(run({"state", "info", at("s"), "--json", "-"}).json()["tokens"], json["tokens"]);
}

TEST_F(ProgramInterrupt, AnAnswerKeepsWhatWasMade) {
  Ended ended;
  for (double wait = 2; wait < 60; wait *= 2) {
    ended = interrupt({"generate", "-m", stories, "-p", "Once", "-n", "-1", "--ignore-eos", "--json", at("j")}, SIGINT, wait);
    if (ended.status == 0) break;
  }
  ASSERT_EQ(ended.status, 0) << ended.err;
  const Json json = parse_json(read_text(at("j")), "j");
  EXPECT_EQ(json["end"], "interrupted");
  EXPECT_EQ(ended.out, json["text"].get<std::string>() + "\n");
}

TEST_F(ProgramInterrupt, AKillWhileSavingLeavesTheOldFileOrTheNewOne) {
  ASSERT_EQ(run({"read", book, "-m", stories, "--max-tokens", "50", "--save", at("s"), "-q"}).status, 0);
  const std::string old = read_text(at("s"));
  const Words words{"read", book, "-m", stories, "--attention", "full", "--save", at("s"), "-q"};
  bool was_caught = false;
  for (int round = 0; round < 12; ++round) {
    Child child(words);
    while (child.is_running() && files().size() < 3) std::this_thread::sleep_for(std::chrono::microseconds(50));
    was_caught = was_caught || child.is_running();
    child.send(SIGKILL);
    child.wait();
    const Ended info = run({"state", "info", at("s"), "--json", "-"});
    ASSERT_EQ(info.status, 0) << info.err;
    const int64_t tokens = info.json()["tokens"];
    if (tokens == 50) {
      EXPECT_EQ(read_text(at("s")), old);
    }
    for (const auto& name : files())
      if (name != "s" && name != "book.txt") fs::remove(folder / name);
    if (was_caught && tokens != 50) write("s", old);
    if (was_caught && round >= 3) break;
  }
  EXPECT_TRUE(was_caught) << "the temporary file was never seen";
}

}  // namespace
}  // namespace longview::testing
