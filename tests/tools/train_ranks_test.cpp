// longview train in several processes: the same results as in one, however they share the work; stopped, resumed by other numbers of ranks,
// and one of them killed.
#include "tests/parallel/port.h"
#include "tests/tools/child.h"

namespace longview::testing {
namespace {

struct ProgramTrainRanks : Program {
  enum class Launcher { torchrun, mpirun };

  /// A model and a training of 8 steps of 4 rows of 128 bytes; f64, so that only the order of sums differs.
  std::string config(const std::string& attention = "infini:segment=16") const {
    const std::string path = at("ranks.toml");
    std::ofstream(path) << "[model]\nlayers = 2\nwidth = 32\nheads = 2\nlength = 256\nattention = \"" << attention << "\"\n"
                        << (attention.starts_with("infini") ? "gate = \"sigmoid\"\n" : "")
                        << "[train]\nsteps = 8\nprecision = \"f64\"\n[schedule]\nrate = 1e-2\nwarmup = 2\n"
                           "[run]\ntokens = 512\nlog_every = 1\nsave_every = 4\ntimeout = 60\n"
                           "validate_every = 4\nvalidation_batches = 2\n[data]\nsource = \"text:path="
                        << book << ",order=packed\"\nvalidation = \"text:path=" << book << "\"\n[[stage]]\nlength = 128\n";
    return path;
  }

  static Words variables(Launcher launcher, int rank, int size, int64_t port) {
    const std::string r = std::to_string(rank), n = std::to_string(size), master = "MASTER_PORT=" + std::to_string(port);
    if (launcher == Launcher::torchrun)
      return {"RANK=" + r, "WORLD_SIZE=" + n, "LOCAL_RANK=" + r, "LOCAL_WORLD_SIZE=" + n, "MASTER_ADDR=127.0.0.1", master};
    return {"OMPI_COMM_WORLD_RANK=" + r, "OMPI_COMM_WORLD_SIZE=" + n, "OMPI_COMM_WORLD_LOCAL_RANK=" + r,
            "OMPI_COMM_WORLD_LOCAL_SIZE=" + n, master};
  }
  static std::vector<std::unique_ptr<Child>> started(int size, const Words& words, Launcher launcher = Launcher::torchrun) {
    const int64_t port = free_port();
    std::vector<std::unique_ptr<Child>> out;
    for (int rank = 0; rank < size; ++rank)
      out.push_back(std::make_unique<Child>(words, "", RLIM_INFINITY, variables(launcher, rank, size, port)));
    return out;
  }
  static std::vector<Ended> ended(std::vector<std::unique_ptr<Child>> children) {
    std::vector<Ended> out;
    for (auto& child : children) out.push_back(child->wait());
    return out;
  }
  static void expect_success(const std::vector<Ended>& all) {
    for (const auto& one : all) EXPECT_EQ(one.status, 0) << one.err;
    for (size_t rank = 1; rank < all.size(); ++rank) EXPECT_EQ(all[rank].out + all[rank].err, "") << "only rank 0 speaks";
  }

  Words words(const std::string& out, const Words& more = {}, const std::string& attention = "infini:segment=16") const {
    return Words{"train", config(attention), "-o", at(out), "-t", "1", "-q"} + more;
  }
  std::vector<Json> records(const std::string& out) const {
    std::vector<Json> lines;
    std::ifstream file(fs::path(at(out)) / "log.jsonl");
    for (std::string line; std::getline(file, line);) lines.push_back(parse_json(line, "log"));
    return lines;
  }
  void expect_close(const std::string& a, const std::string& b) const {
    const auto x = records(a), y = records(b);
    ASSERT_EQ(x.size(), y.size()) << b;
    for (size_t n = 0; n < x.size(); ++n) {
      for (const char* key : {"loss", "gradient_norm"})
        EXPECT_NEAR(x[n][key].get<double>(), y[n][key].get<double>(), 1e-9) << b << " step " << n + 1 << " " << key;
      EXPECT_EQ(x[n]["tokens"], y[n]["tokens"]) << b;
      EXPECT_EQ(x[n].contains("validation"), y[n].contains("validation")) << b;
      if (!x[n].contains("validation")) continue;
      const Json &ours = x[n]["validation"], &theirs = y[n]["validation"];
      EXPECT_NEAR(ours["loss"].get<double>(), theirs["loss"].get<double>(), 1e-9) << b;
      for (size_t p = 0; p < ours["positions"].size(); ++p) {
        EXPECT_EQ(ours["positions"][p]["targets"], theirs["positions"][p]["targets"]) << b;
        EXPECT_NEAR(ours["positions"][p]["loss"].get<double>(), theirs["positions"][p]["loss"].get<double>(), 1e-9) << b;
      }
      EXPECT_EQ(ours.value("accuracy", Json()), theirs.value("accuracy", Json())) << b;
      EXPECT_EQ(x[n].value("accuracy", Json()), y[n].value("accuracy", Json())) << b;
    }
  }
  void expect_same_bits(const std::string& a, const std::string& b) const {
    const auto x = records(a), y = records(b);
    ASSERT_EQ(x.size(), y.size());
    for (size_t n = 0; n < x.size(); ++n) EXPECT_EQ(x[n]["loss"], y[n]["loss"]) << b << " step " << n + 1;
    for (const char* file : {"model/model.safetensors", "training.safetensors"})
      EXPECT_EQ(read_text(fs::path(at(a)) / "checkpoint-000008" / file), read_text(fs::path(at(b)) / "checkpoint-000008" / file))
          << file;
  }
};

const Words kShared = {"--set", "train.shard=optimizer"};
Words sequence(int ranks) { return {"--set", "train.sequence_ranks=" + std::to_string(ranks)}; }

TEST_F(ProgramTrainRanks, GiveWhatOneProcessGives) {
  const Words accumulated = {"--set", "train.accumulate=2", "--set", "train.recompute=true"};
  ASSERT_EQ(run(words("one")).status, 0);
  ASSERT_EQ(run(words("one accumulated", accumulated)).status, 0);
  struct Way {
    std::string name;
    int ranks;
    Words settings;
    bool is_accumulated = false;
  };
  for (const Way& way :
       {Way{"rows 2", 2, {}}, Way{"rows 4", 4, {}}, Way{"shared 2", 2, kShared}, Way{"text 2", 2, sequence(2)},
        Way{"text 4", 4, sequence(4)}, Way{"rows, text and shared", 4, sequence(2) + kShared},
        Way{"accumulated", 2, accumulated + kShared, true}, Way{"accumulated text", 2, accumulated + sequence(2), true}}) {
    SCOPED_TRACE(way.name);
    expect_success(ended(started(way.ranks, words(way.name, way.settings))));
    expect_close(way.is_accumulated ? "one accumulated" : "one", way.name);
  }
}

TEST_F(ProgramTrainRanks, ShareAnswersThatOnlyOneRankHas) {
  const Words passkey = {"--set", "data.source=passkey:path=" + book,
                         "--set", "stage.0.length=256",
                         "--set", "run.tokens=1024",
                         "--set", "stage.0.repeats=4",
                         "--set", "train.steps=4"};
  ASSERT_EQ(run(words("one", passkey)).status, 0);
  expect_success(ended(started(2, words("text", passkey + sequence(2)))));
  expect_success(ended(started(4, words("rows and text", passkey + sequence(2)))));
  expect_close("one", "text"), expect_close("one", "rows and text");
}

TEST_F(ProgramTrainRanks, OtherAttentionSharesRows) {
  ASSERT_EQ(run(words("one", {"--set", "data.source=copy"}, "full")).status, 0);
  expect_success(ended(started(2, words("two", Words{"--set", "data.source=copy"} + kShared, "full"))));
  expect_close("one", "two");
}

TEST_F(ProgramTrainRanks, AnyNumberGoesOn) {
  const Words rows_go_on = {"--set", "data.source=text:path=" + book + ",order=lanes"};
  for (const Words& source : {Words{}, rows_go_on}) {
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.is_directory()) fs::remove_all(entry.path());
    expect_success(ended(started(2, words("one", source + kShared + Words{"--set", "train.steps=4"}))));
    for (const char* name : {"two", "four", "text"}) fs::copy(at("one"), at(name), fs::copy_options::recursive);
    const Words resumed = source + Words{"--resume"};
    ASSERT_EQ(run(words("one", resumed)).status, 0);
    expect_success(ended(started(2, words("two", resumed + kShared))));
    expect_success(ended(started(4, words("four", resumed + kShared))));
    expect_success(ended(started(4, words("text", resumed + sequence(2)))));
    for (const char* name : {"two", "four", "text"}) expect_close("one", name);
  }
}

TEST_F(ProgramTrainRanks, GiveTheSameBitsAgain) {
  for (const Words& way : {kShared, sequence(2)}) {
    const Words settings = way + Words{"--set", "train.precision=f32", "--force"};
    expect_success(ended(started(2, words("first", settings))));
    expect_success(ended(started(2, words("again", settings), Launcher::mpirun)));
    expect_same_bits("first", "again");
    expect_success(ended(started(2, words("parts", settings + Words{"--set", "run.save_every=3"}))));
    fs::remove_all(fs::path(at("parts")) / "checkpoint-000008");  // as if it had ended after step 6
    const Words resumed = way + Words{"--set", "train.precision=f32", "--resume"};
    expect_success(ended(started(2, words("parts", resumed))));
    EXPECT_EQ(records("parts").back()["loss"], records("first").back()["loss"]);
  }
}

/// Returns when a training has come so far, or after a minute.
void await(const fs::path& path) {
  for (int n = 0; n < 600 && !fs::exists(path); ++n) std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

TEST_F(ProgramTrainRanks, ARankThatDiesIsNamed) {
  const Words settings = {"--set", "train.steps=100000", "--set", "run.save_every=5"};
  auto children = started(3, words("out", settings + Words{"--set", "run.tokens=384"}));
  await(fs::path(at("out")) / "checkpoint-000005");
  children[1]->send(SIGKILL);
  const auto all = ended(std::move(children));
  EXPECT_EQ(all[1].status, -SIGKILL);
  for (const size_t rank : {0, 2}) {
    EXPECT_EQ(all[rank].status, 1);
    EXPECT_NE(all[rank].err.find("is gone"), std::string::npos) << all[rank].err;
    EXPECT_NE(all[rank].err.find("--resume"), std::string::npos) << all[rank].err;
    EXPECT_EQ(std::count(all[rank].err.begin(), all[rank].err.end(), '\n'), 1) << all[rank].err;
  }
  const auto steps = records("out").size();
  expect_success(ended(started(2, words("out", {"--resume", "--set", fmt::format("train.steps={}", steps + 5)}))));
}

TEST_F(ProgramTrainRanks, AgreeOnWhatIsNotFinite) {
  const Words settings = {"--set", "schedule.rate=1e200", "--set", "schedule.warmup=0"};
  for (const Words& way : {kShared, sequence(2)}) {
    const auto all = ended(started(2, words("out", settings + way + Words{"--force"})));
    for (const auto& one : all) {
      EXPECT_EQ(one.status, 1);
      EXPECT_NE(one.err.find("is not finite, the first that went bad"), std::string::npos) << one.err;
    }
    EXPECT_EQ(all[0].err.substr(all[0].err.find(':', 10)), all[1].err.substr(all[1].err.find(':', 10)));
  }
}

TEST_F(ProgramTrainRanks, AStopOnOneStopsAll) {
  auto children = started(2, words("out", {"--set", "train.steps=100000"}));
  await(fs::path(at("out")) / "checkpoint-000004");
  children[1]->send(SIGINT);
  expect_success(ended(std::move(children)));
  const auto step = records("out").back()["step"].get<int64_t>();
  EXPECT_TRUE(fs::exists(fs::path(at("out")) / fmt::format("checkpoint-{:06}", step)));
}

TEST_F(ProgramTrainRanks, AreGivenTheSame) {
  const int64_t port = free_port();
  std::vector<std::unique_ptr<Child>> children;
  for (int rank = 0; rank < 2; ++rank)
    children.push_back(std::make_unique<Child>(words("out", {"--set", fmt::format("train.clip={}", rank + 1)}), "", RLIM_INFINITY,
                                               variables(Launcher::torchrun, rank, 2, port)));
  for (const auto& one : ended(std::move(children))) {
    EXPECT_EQ(one.status, 1);
    EXPECT_NE(one.err.find("not given the same configuration"), std::string::npos) << one.err;
  }
}

/// Open MPI's launcher, where it is installed: through its library, and through sockets.
TEST_F(ProgramTrainRanks, StartUnderMpirun) {
  if (std::system("command -v mpirun >/dev/null") != 0) GTEST_SKIP() << "mpirun is not installed (Debian's openmpi-bin)";
  ASSERT_EQ(run(words("one")).status, 0);
  for (const std::string way : {"mpi", "sockets"}) {
    std::string line = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 LONGVIEW_RANKS=" + way +
                       " mpirun --oversubscribe -n 2 " LONGVIEW_PROGRAM;
    for (const auto& word : words(way, kShared)) line += " '" + word + "'";
    EXPECT_EQ(std::system((line + " >'" + at("said") + "' 2>&1").c_str()), 0) << read_text(at("said"));
    expect_close("one", way);
  }
}

TEST_F(ProgramTrainRanks, SayWhatTheyCannotShare) {
  const auto error = [&](int size, const Words& settings, const std::string& attention = "infini:segment=16") {
    const auto all = ended(started(size, words("out", settings, attention)));
    fs::remove_all(at("out"));
    for (const auto& one : all) EXPECT_EQ(one.status, 1) << one.err;
    return all[1].err;
  };
  EXPECT_NE(error(3, {}).find("4 rows of 128 tokens cannot be shared evenly by 3 ranks"), std::string::npos);
  EXPECT_NE(error(2, sequence(3)).find("sequence_ranks must divide the number of ranks, 2; got 3"), std::string::npos);
  EXPECT_NE(error(2, sequence(2), "infini:segment=48").find("multiples of 96"), std::string::npos);
  EXPECT_NE(error(2, sequence(2), "infini:segment=16,rule=delta").find("rule = linear"), std::string::npos);
  EXPECT_NE(error(2, sequence(2), "infini:segment=16,overlap=16").find("overlap"), std::string::npos);
  EXPECT_NE(error(2, sequence(2), "window:window=16").find("window looks back"), std::string::npos);
  EXPECT_NE(error(2, kShared + Words{"--set", "train.optimizer=adafactor"}).find("adafactor needs whole matrices"),
            std::string::npos);
  EXPECT_NE(error(2, {"--set", "train.shard=all"}).find("none or optimizer"), std::string::npos);
  EXPECT_NE(error(2, {"--resume"}).find("no training"), std::string::npos);
}

}  // namespace
}  // namespace longview::testing
