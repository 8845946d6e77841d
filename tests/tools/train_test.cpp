// longview train: learns, goes on to the bit after a stop, and says what is wrong with a configuration, its data or a checkpoint.
#include <regex>

#include "tests/tools/child.h"

namespace longview::testing {
namespace {

struct ProgramTrain : Program {
  std::string config(const std::string& more = "") const {
    const std::string path = at("small.toml");
    std::ofstream(path)
        << "[model]\nlayers = 2\nwidth = 32\nheads = 2\nlength = 256\nattention = \"infini:segment=32\"\ngate = \"sigmoid\"\n"
           "[train]\nsteps = 12\n[schedule]\nrate = 1e-2\nwarmup = 4\n"
           "[run]\ntokens = 512\nlog_every = 1\nsave_every = 6\n[data]\nsource = \"text:path="
        << book << "\"\n[[stage]]\nlength = 128\nmost = 0.5\n[[stage]]\nlength = 256\n"
        << more;
    return path;
  }
  static std::vector<Json> records(const std::string& folder) {
    std::vector<Json> out;
    std::ifstream file(fs::path(folder) / "log.jsonl");
    for (std::string line; std::getline(file, line);) out.push_back(parse_json(line, "log"));
    return out;
  }
};

TEST_F(ProgramTrain, LearnsAndItsModelReads) {
  const Ended ended = run({"train", config(), "-o", at("out"), "-t", "1", "-q", "--json", "-"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  const Json json = ended.json();
  EXPECT_EQ(json["steps"], 12);
  EXPECT_TRUE(json["finished"].get<bool>());
  const auto all = records(at("out"));
  ASSERT_EQ(all.size(), 12U);
  EXPECT_LT(all.back()["loss"].get<double>(), all.front()["loss"].get<double>() - 1);
  EXPECT_EQ(all.back()["stage"], 1);
  EXPECT_EQ(all.back()["gates"].size(), 2U);
  const Ended read = run({"read", book, "-m", json["saved"].get<std::string>() + "/model", "--json", "-", "-q"});
  ASSERT_EQ(read.status, 0) << read.err;
  EXPECT_LT(read.json()["nll"].get<double>(), std::log(256.0));
}

TEST_F(ProgramTrain, EveryRecipeBegins) {
  ASSERT_EQ(run({"train", config(), "-o", at("base"), "-t", "1", "-q", "--set", "train.steps=1"}).status, 0);
  const std::string books = write("books.txt", tale(1500));
  int recipes = 0;
  for (const auto& entry : fs::directory_iterator(LONGVIEW_SOURCE "/recipes")) {
    SCOPED_TRACE(entry.path());
    const std::string text = read_text(entry.path());
    const size_t from = text.find("source = \"") + 10;
    const std::string source =
        std::regex_replace(text.substr(from, text.find('"', from) - from), std::regex("path=[^, ]+"), "path=" + books);
    Words words = {"train",  entry.path(),
                   "-o",     at("out"),
                   "-t",     "1",
                   "-q",     "--force",
                   "--json", "-",
                   "--set",  "train.steps=1",
                   "--set",  "run.tokens=512",
                   "--set",  "data.source=" + source};
    if (text.find("[model]") == std::string::npos) words = words + Words{"--from", at("base/checkpoint-000001/model")};
    else
      for (const char* size : {"tokenizer=byte", "layers=1", "width=64", "heads=2", "kv_heads=2", "feed_forward=64"})
        words = words + Words{"--set", std::string("model.") + size};
    const Ended ended = run(words);
    ASSERT_EQ(ended.status, 0) << ended.err;
    EXPECT_TRUE(std::isfinite(ended.json()["last"]["loss"].get<double>()));
    ++recipes;
  }
  EXPECT_GE(recipes, 8);
}

TEST_F(ProgramTrain, WhatWasLearnedInAnotherSizeIsReadAgain) {
  for (const char* change : {"model.attention=recurrent_memory:segment=32,tokens=3",
                             "model.attention=compressive:segment=32,rate=2,function=conv", "model.position=t5:buckets=8"}) {
    const Ended ended = run({"train", config(), "-o", at("out"), "-t", "1", "-q", "--force", "--json", "-", "--set",
                             "train.steps=2", "--set", "model.attention=full", "--set", change});
    ASSERT_EQ(ended.status, 0) << ended.err;
    const Ended read = run({"read", book, "-m", ended.json()["saved"].get<std::string>() + "/model", "--json", "-"});
    EXPECT_EQ(read.status, 0) << change << ": " << read.err;
  }
}

TEST_F(ProgramTrain, GoesOnToTheBit) {
  ASSERT_EQ(run({"train", config(), "-o", at("whole"), "-t", "1", "-q"}).status, 0);
  ASSERT_EQ(run({"train", config(), "-o", at("parts"), "-t", "1", "-q"}).status, 0);
  fs::remove_all(fs::path(at("parts")) / "checkpoint-000012");
  const Ended resumed = run({"train", config(), "-o", at("parts"), "-t", "1", "-q", "--resume"});
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  const auto whole = records(at("whole")), parts = records(at("parts"));
  ASSERT_EQ(whole.size(), 12U);
  ASSERT_EQ(parts.size(), 18U);  // steps 7 to 12 came twice
  for (size_t n = 6; n < 12; ++n) EXPECT_EQ(parts[n + 6]["loss"], whole[n]["loss"]) << n;
}

TEST_F(ProgramTrain, ProductsInBf16LearnTheSame) {
  const auto last = [&](const std::string& precision, const std::string& attention) {
    const Ended ended = run({"train", config(), "-o", at(precision + attention), "-t", "1", "-q", "--json", "-", "--set",
                             "train.precision=" + precision, "--set", "model.attention=" + attention});
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended.status == 0 ? ended.json()["last"]["loss"].get<double>() : 0;
  };
  for (const char* attention : {"full", "infini:segment=32"}) EXPECT_NEAR(last("bf16", attention), last("f32", attention), 0.05);
}

TEST_F(ProgramTrain, AdaptersGoIntoTheModel) {
  const std::string base = at("base/checkpoint-000012/model");
  ASSERT_EQ(run({"train", config(), "-o", at("base"), "-t", "1", "-q"}).status, 0);
  const Words lora = {"train", config(), "-o", at("lora"), "-t", "1", "-q", "--set", "train.lora=2"};
  ASSERT_EQ(run(lora + Words{"--from", base}).status, 0);
  const std::string last = at("lora/checkpoint-000012");
  ASSERT_EQ(run({"convert", base, at("merged"), "--adapter", last + "/adapter", "-q"}).status, 0);
  const auto loss = [&](const std::string& model) {
    return run({"read", book, "-m", model, "--json", "-", "-q"}).json()["nll"].get<double>();
  };
  EXPECT_EQ(loss(at("merged")), loss(last + "/model"));
  EXPECT_EQ(loss(at("merged")), loss(last + "/adapter")) << "finds the model it is for";
  EXPECT_NE(loss(at("merged")), loss(base));
  fs::remove_all(last);
  const Ended alone = run(lora + Words{"--resume"});
  EXPECT_NE(alone.err.find("give --from"), std::string::npos) << alone.err;
  ASSERT_EQ(run(lora + Words{"--resume", "--from", base}).status, 0);
  EXPECT_EQ(loss(at("merged")), loss(last + "/model")) << "to the bit";
  EXPECT_NE(run({"convert", base, at("none"), "--adapter", base, "-q"}).err.find("adapter_config.json"), std::string::npos);
}

TEST_F(ProgramTrain, AStageMayHaveSharesOfItsOwn) {
  const Ended ended =
      run({"train", config(), "-o", at("out"), "-t", "1", "-q", "--set", "data.source=0.5*text:path=" + book + " + 0.5*copy",
           "--set", "stage.0.shares=0,1", "--set", "stage.1.shares=1,0"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  for (const auto& record : records(at("out"))) {
    EXPECT_EQ(record["accuracy"].contains("copied"), record["stage"] == 0) << record;
    EXPECT_EQ(record["accuracy"].contains("text"), record["stage"] == 1) << record;
  }
}

TEST_F(ProgramTrain, TextAndNamesMayCountLessThanAnswers) {
  const auto first_loss = [&](const std::string& source, const std::string& key, const std::string& weight) {
    const Ended ended =
        run({"train", config(), "-o", at(key + weight), "-t", "1", "-q", "--set", "data.source=" + source, "--set", "train.steps=1",
             "--set", "stage.0.length=1024", "--set", "run.tokens=4096", "--set", "run." + key + "=" + weight});
    EXPECT_EQ(ended.status, 0) << ended.err;
    return records(at(key + weight)).front()["loss"].get<double>();
  };
  for (const auto& [source, key] : {std::pair("0.5*text:path=" + book + " + 0.5*copy", "text_weight"),
                                    std::pair(std::string("passkey:named=1,needles=4,gathered=1"), "name_weight")}) {
    const double without = first_loss(source, key, "0"), with = first_loss(source, key, "1");
    EXPECT_GT(without, 4) << key;
    EXPECT_GT(with - without, 4) << key;
    EXPECT_NEAR(first_loss(source, key, "0.25"), without + 0.25 * (with - without), 1e-5) << key;
  }
}

TEST_F(ProgramTrain, SaysWhatIsWrong) {
  const auto error = [&](const Words& words) {
    const Ended ended = run(Words{"train"} + words + Words{"-q"});
    EXPECT_EQ(ended.status, 1);
    return ended.err;
  };
  const std::string out = at("out");
  EXPECT_NE(error({config("[modle]\n"), "-o", out}).find("model"), std::string::npos);
  EXPECT_NE(error({config(), "-o", out, "--set", "train.stepps=3"}).find("steps"), std::string::npos);
  EXPECT_NE(error({config(), "-o", out, "--set", "data.source=text:path=/nowhere"}).find("/nowhere"), std::string::npos);
  EXPECT_NE(error({config(), "-o", out, "--set", "train.optimizer=adam"}).find("adamw"), std::string::npos);
  EXPECT_NE(error({config(), "-o", out, "--set", "stage.1.shares=1,2"}).find("of 2 sources"), std::string::npos);
  EXPECT_NE(error({config(), "-o", out, "--set", "stage.1.shares=1,-2"}).find("negative"), std::string::npos);
  EXPECT_NE(error({config(), "-o", out, "--set", "stage.1.shares=0"}).find("above 0"), std::string::npos);
  EXPECT_NE(error({config(), "-o", out, "--set", "run.text_weight=-1"}).find("negative"), std::string::npos);
  EXPECT_NE(error({config(), "-o", out, "--set", "run.name_weight=-1"}).find("negative"), std::string::npos);
  EXPECT_NE(error({config(), "-o", out, "--resume"}).find("no training"), std::string::npos);
  ASSERT_EQ(run({"train", config(), "-o", out, "-t", "1", "-q", "--set", "train.steps=2"}).status, 0);
  EXPECT_NE(error({config(), "-o", out}).find("--resume"), std::string::npos);
  fs::resize_file(fs::path(out) / "checkpoint-000002" / "training.safetensors", 100);
  EXPECT_NE(error({config(), "-o", out, "--resume"}).find("training.safetensors"), std::string::npos);
  fs::resize_file(fs::path(out) / "checkpoint-000002" / "model" / "model.safetensors", 100);
  EXPECT_NE(error({config(), "-o", out, "--resume"}).find("model.safetensors"), std::string::npos);
}

TEST_F(ProgramTrain, WatchesItself) {
  const std::string validation = "data.validation=text:path=" + book;
  const Words words{"train",
                    config(),
                    "-o",
                    at("out"),
                    "-t",
                    "1",
                    "-q",
                    "--set",
                    validation,
                    "--set",
                    "run.validate_every=4",
                    "--set",
                    "run.validation_batches=1",
                    "--set",
                    "run.short_share=0.5",
                    "--peak-flops",
                    "1e12"};
  ASSERT_EQ(run(words).status, 0);
  const auto all = records(at("out"));
  ASSERT_EQ(all.size(), 12U);
  for (const auto& record : all) {
    EXPECT_EQ(record["length"], record["stage"] == 0 ? 128 : 256);
    EXPECT_NEAR(record["mfu"].get<double>(), record["operations_per_second"].get<double>() / 1e12, 1e-9);
    EXPECT_GT(record["memory_bytes"].get<int64_t>(), 0);
    EXPECT_EQ(record.contains("validation"), record["step"].get<int64_t>() % 4 == 0);
  }
  EXPECT_EQ(all.back()["seconds_left"], 0);
  const Json& last = all.back()["validation"];
  EXPECT_EQ(last["positions"].size(), 8U);
  EXPECT_EQ(last["positions"][7]["to"], 256);  // of the longest stage, whatever stage it is
  EXPECT_EQ(all[3]["validation"]["positions"][7]["to"], 256);
  EXPECT_LT(last["loss"].get<double>(), all[3]["validation"]["loss"].get<double>());
  const std::string page = read_text(fs::path(at("out")) / "report.html");
  for (const std::string part : {"Finished: step 12 of 12", "Validation by position", "Gates by layer", "utilisation"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_EQ(page.find("http-equiv"), std::string::npos) << "a page that is done stays as it is";
}

TEST_F(ProgramTrain, ValidationIsTheSameForEveryRun) {
  const std::string validation = "data.validation=text:path=" + book;
  const auto loss = [&](const std::string& folder, const Words& more) {
    EXPECT_EQ(run(Words{"train", config(), "-o", at(folder), "-t", "1", "-q", "--set", validation, "--set", "run.validate_every=1",
                        "--set", "train.steps=2", "--set", "schedule.rate=1e-30", "--set", "run.validation_batches=2"} +
                  more)
                  .status,
              0);
    const auto all = records(at(folder));
    EXPECT_EQ(all.front()["validation"]["loss"], all.back()["validation"]["loss"]) << "the same batches and weights";
    return all.back()["validation"]["loss"].get<double>();
  };
  EXPECT_EQ(loss("a", {}), loss("b", {"--set", "data.source=copy"}));
}

TEST_F(ProgramTrain, NumbersThatAreNotFiniteEndIt) {
  ASSERT_EQ(run({"train", config(), "-o", at("out"), "-t", "1", "-q", "--set", "train.steps=6"}).status, 0);
  const Ended ended = run({"train", config(), "-o", at("out"), "-t", "1", "-q", "--resume", "--set", "schedule.rate=1e38"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_NE(ended.err.find("is not finite, the first that went bad; the last good checkpoint is"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("checkpoint-000006"), std::string::npos) << ended.err;
  EXPECT_NE(read_text(fs::path(at("out")) / "report.html").find("Failed after step"), std::string::npos);
  const Ended read = run({"read", book, "-m", at("out") + "/checkpoint-000006/model", "--json", "-", "-q"});
  ASSERT_EQ(read.status, 0) << read.err;
  EXPECT_LT(read.json()["nll"].get<double>(), std::log(256.0));
  EXPECT_EQ(run({"train", config(), "-o", at("out"), "-t", "1", "-q", "--resume"}).status, 0) << "and goes on";
}

TEST_F(ProgramTrain, AFullDiskLeavesTheLastCheckpoint) {
  ASSERT_EQ(run({"train", config(), "-o", at("out"), "-t", "1", "-q", "--set", "train.steps=6"}).status, 0);
  const Ended full = Child({"train", config(), "-o", at("out"), "-t", "1", "-q", "--resume"}, "", 60000).wait();
  EXPECT_EQ(full.status, 1);
  EXPECT_FALSE(fs::exists(fs::path(at("out")) / "checkpoint-000012"));
  const Ended after = run({"train", config(), "-o", at("out"), "-t", "1", "-q", "--resume"});
  EXPECT_EQ(after.status, 0) << after.err;
}

}  // namespace
}  // namespace longview::testing
