// The program as a person runs it: what every command writes, and that docs/json.md and docs/methods.md say the same.
#include <regex>

#include "tests/tools/child.h"

namespace longview::testing {
namespace {

/// Names of all fields: "context.seen", "buckets[].from".
void fields_of(const Json& json, const std::string& at, std::set<std::string>& into) {
  for (const auto& [key, value] : json.items()) {
    const std::string name = at + key;
    into.insert(name);
    if (value.is_object()) fields_of(value, name + ".", into);
    if (!value.is_array()) continue;
    for (const auto& one : value)
      if (one.is_object()) fields_of(one, name + "[].", into);
  }
}

std::set<std::string> fields_of(const Json& json) {
  std::set<std::string> out;
  fields_of(json, "", out);
  return out;
}

/// The first column of the table under "## command" of docs/json.md.
std::set<std::string> documented(const std::string& command) {
  const std::string page = read_text(LONGVIEW_SOURCE "/docs/json.md");
  const size_t begin = page.find("\n## " + command + "\n");
  EXPECT_NE(begin, std::string::npos) << command;
  const std::string part = page.substr(begin, page.find("\n## ", begin + 1) - begin);
  static const std::regex row("\n\\| `([^`]+)` \\|");
  std::set<std::string> out;
  for (std::sregex_iterator it(part.begin(), part.end(), row), end; it != end; ++it) out.insert((*it)[1]);
  return out;
}

using ProgramPages = Program;

TEST_F(ProgramPages, ReadSaysWhatItWrites) {
  const Ended one = run({"read", book, "-m", llama, "--json", "-", "--period", "64", "--save", at("s")});
  ASSERT_EQ(one.status, 0) << one.err;
  auto fields = fields_of(one.json());
  fields.insert("runs");
  fields.merge(fields_of(run({"read", book, "-m", with_memory(), "--json", "-"}).json()));
  EXPECT_EQ(fields, documented("read"));
  const Json json = one.json();
  EXPECT_EQ(json["position"], "rope");
  EXPECT_EQ(json["attention"], "streaming:window=64,sinks=4");
  EXPECT_FALSE(json["interrupted"]);
  int64_t scored = 0;
  double sum = 0;
  for (const auto& bucket : json["buckets"]) {
    scored += bucket["tokens"].get<int64_t>();
    sum += bucket["tokens"].get<double>() * bucket["nll"].get<double>();
  }
  EXPECT_EQ(scored, json["tokens"].get<int64_t>() - 1);
  EXPECT_NEAR(sum / static_cast<double>(scored), json["nll"].get<double>(), 1e-9);
  EXPECT_EQ(json["offsets"].size(), 4U);  // 0 to 8, 16, 32 and 64
  EXPECT_NEAR(json["perplexity"].get<double>(), std::exp(json["nll"].get<double>()), 1e-6);

  const Ended two =
      run({"read", book, "-m", llama, "--method", "full", "--method", "dynamic+full", "--period", "64", "--json", at("two.json")});
  ASSERT_EQ(two.status, 0) << two.err;
  EXPECT_NE(two.out.find("loss"), std::string::npos);
  const Json runs = parse_json(read_text(at("two.json")), "two.json");
  EXPECT_EQ(runs["runs"].size(), 2U);
  EXPECT_EQ(fields_of(runs["runs"][1]), fields_of(json));
}

TEST_F(ProgramPages, ConvertSaysWhatItWrites) {
  const Ended ended = run({"convert", llama, at("out"), "--add-infini", "--json", "-"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(fields_of(ended.json()), documented("convert"));
  const Ended learned = run({"convert", "--train-bpe", book, "--vocab", "300", "-o", at("learned"), "--json", "-", "-q"});
  ASSERT_EQ(learned.status, 0) << learned.err;
  EXPECT_EQ(fields_of(learned.json()), documented("convert --train-bpe"));
  EXPECT_EQ(ended.json()["files"].size(), 5U);
}

TEST_F(ProgramPages, GenerateSaysWhatItWrites) {
  const Ended text = run({"generate", "-m", stories, "-p", "Lily", "-n", "3", "--json", "-"});
  ASSERT_EQ(text.status, 0) << text.err;
  const Ended chat = run({"generate", "-m", smollm, "--chat", "-p", "Hi", "-n", "2", "--json", "-"});
  ASSERT_EQ(chat.status, 0) << chat.err;
  auto all = fields_of(text.json());
  EXPECT_EQ(all.count("messages"), 0U);
  all.merge(fields_of(chat.json()));
  const Ended nbce = run({"generate", "-m", stories, "--nbce", "--context", book, "-p", "Lily", "-n", "3", "--json", "-"});
  ASSERT_EQ(nbce.status, 0) << nbce.err;
  all.merge(fields_of(nbce.json()));
  EXPECT_EQ(all, documented("generate"));
  EXPECT_EQ(text.json()["ids"].size(), 3U);
  EXPECT_EQ(text.json()["end"], "length");
}

TEST_F(ProgramPages, StateSaysWhatItWrites) {
  ASSERT_EQ(run({"read", book, "-m", llama, "--save", at("s"), "-q"}).status, 0);
  const Ended info = run({"state", "info", at("s"), "--json", "-"});
  const Ended verify = run({"state", "verify", at("s"), "-m", llama, "--json", "-"});
  ASSERT_EQ(info.status, 0) << info.err;
  ASSERT_EQ(verify.status, 0) << verify.err;
  EXPECT_EQ(info.json(), verify.json());
  ASSERT_EQ(run({"read", book, "-m", with_memory(), "--save", at("m"), "-q"}).status, 0);
  EXPECT_EQ(fields_of(run({"state", "info", at("m"), "-m", with_memory(), "--json", "-"}).json()), documented("state"));
  EXPECT_EQ(info.json()["text"], "book.txt");
}

TEST_F(ProgramPages, ListSaysWhatItWrites) {
  const Ended list = run({"list", "--json", "-"});
  ASSERT_EQ(list.status, 0) << list.err;
  EXPECT_EQ(fields_of(list.json()), documented("list"));
  const Ended part = run({"list", "attention"});
  EXPECT_EQ(part.out.rfind("attention\n  compressive", 0), 0U) << part.out;
  EXPECT_EQ(run({"list"}).out.find(" \n"), std::string::npos) << "blanks at a line's end";
}

TEST_F(ProgramPages, CompareSaysWhatItWrites) {
  const Ended ended = run({"compare", book, "-m", llama, "--methods", "none,auto,rerope:window=20,logn=clipped,streaming:window=32",
                           "-q", "--json", at("c.json"), "--report", at("c.html")});
  ASSERT_EQ(ended.status, 0) << ended.err;
  const Json json = parse_json(read_text(at("c.json")), "c.json");
  auto fields = fields_of(json);
  std::erase_if(fields, [](const std::string& name) { return name.rfind("methods[].runs[].", 0) == 0; });
  EXPECT_EQ(fields, documented("compare"));
  ASSERT_EQ(json["methods"].size(), 4U);
  EXPECT_EQ(json["methods"][2]["label"], "rerope:window=20,logn=clipped") << "a part with = belongs to the method before";
  EXPECT_EQ(json["methods"][0]["inside_difference"], 0.0);
  EXPECT_EQ(json["methods"][1]["inside_difference"], 0.0) << "auto leaves the model as it is inside";
  EXPECT_TRUE(json["methods"][3]["bounded"].get<bool>());
  double best = 1e9;
  for (const auto& method : json["methods"]) best = std::min(best, method["last_quarter_nll"].get<double>());
  bool is_level = false;
  for (const auto& method : json["methods"])
    is_level = is_level || (method["position"] == json["recommendation"]["position"] &&
                            method["attention"] == json["recommendation"]["attention"] &&
                            method["last_quarter_nll"].get<double>() < best + 0.011);
  EXPECT_TRUE(is_level) << "what is recommended is the best or level with it";
  EXPECT_NE(ended.out.find("Recommended: --rope-scaling "), std::string::npos) << ended.out;
  EXPECT_NE(read_text(at("c.html")).find("Recommended"), std::string::npos);
  const Ended page = run({"compare", book, "-m", llama, "--methods", "none,streaming:window=32", "-q", "--markdown"});
  EXPECT_EQ(page.out.find("| method |"), page.out.find('|')) << page.out;
}

TEST_F(ProgramPages, EveryUsualMethodOfCompareRuns) {
  const Ended ended = run({"compare", book, "-m", llama, "-q", "--max-tokens", "200", "--json", "-"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_GT(ended.json()["methods"].size(), 20U);
}

TEST_F(ProgramPages, APasskeyIsHiddenWhereItWasAskedFor) {
  const auto ask = [&](const Words& more) {
    const Ended ended = run(Words{"eval", "passkey", "-m", with_memory(), "--lengths", "900", "--depths", "10,60", "--method",
                                  "infini:segment=64", "-q", "--json", "-"} +
                            more);
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended.json();
  };
  const Json json =
      ask({"--memory", "both", "--needle-offsets", "0,40", "--question-offsets", "7", "--trials", "2", "--report", at("p.html")});
  ASSERT_EQ(json["rows"].size(), 2U);
  EXPECT_NE(json["rows"][0]["attention"].get<std::string>().find("memory=on"), std::string::npos);
  EXPECT_NE(json["rows"][1]["attention"].get<std::string>().find("memory=off"), std::string::npos);
  const Json config = parse_json(read_text(with_memory() + "/config.json"), "config.json");
  const auto number = [&](const char* key) { return config.at(key).get<int64_t>(); };
  const int64_t D = number("hidden_size") / number("num_attention_heads");
  EXPECT_EQ(json["rows"][0]["memory_bytes"], number("num_hidden_layers") * number("num_key_value_heads") * D * (D + 1) * 4);
  EXPECT_EQ(json["rows"][1]["memory_bytes"], 0);
  for (const auto& row : json["rows"]) {
    EXPECT_EQ(row["tried"], 8);
    ASSERT_EQ(row["places"].size(), 4U);
    for (const auto& place : row["places"])
      for (const auto& answer : place["answers"]) {
        EXPECT_EQ(answer["needle_at"].get<int64_t>() % 64, place["needle_offset"].get<int64_t>());
        EXPECT_EQ(answer["answer_at"].get<int64_t>() % 64, 7);
        EXPECT_GT(answer["answer_at"].get<int64_t>(), 900 - 64 - 20);
      }
  }
  const std::string page = read_text(at("p.html"));
  for (const std::string part : {"Found of asked", "Found by offset in the segment", "memory off"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  const Ended few = run({"eval", "passkey", "-m", with_memory(), "--lengths", "700,900", "--depths", "10", "--method",
                         "infini:segment=64", "--question-offsets", "0", "-q", "--json", at("few.json")});
  EXPECT_NE(few.out.find("was hidden"), std::string::npos) << few.out;
  const Json states = Json::parse(read_text(at("few.json")))["rows"];
  EXPECT_EQ(states[0]["state_bytes"], states[1]["state_bytes"]) << "whatever the length";
  const Json worded = ask({"--wordings", "heldout", "--keys", "words", "--needles", "3", "--haystack", book, book, "--batch", "1"});
  EXPECT_EQ(worded["prompts"]["needles"], 3);
  EXPECT_NE(worded["rows"][0]["places"][0]["answers"][0]["key"].get<std::string>().find(' '), std::string::npos);
  const Json alone = ask({"--batch", "1", "--seed", "5"}), together = ask({"--batch", "4", "--seed", "5"});
  EXPECT_NEAR(alone["rows"][0]["answer_nll"].get<double>(), together["rows"][0]["answer_nll"].get<double>(), 1e-3);
  const auto error = [&](const Words& words) { return run(Words{"eval", "passkey", "-m", llama, "-q"} + words).err; };
  EXPECT_NE(error({"--memory", "of"}).find("on, off or both"), std::string::npos);
  EXPECT_NE(error({"--memory", "off"}).find("no method has a memory"), std::string::npos);
  EXPECT_NE(error({"--needle-offsets", "3"}).find("--segment"), std::string::npos);
  EXPECT_NE(error({"--wordings", "more"}).find("heldout"), std::string::npos);
  EXPECT_NE(error({"--lengths", "8k,4k"}).find("--lengths must"), std::string::npos);
}

TEST_F(ProgramPages, EvalSaysWhatItWrites) {
  const Ended passkey = run({"eval", "passkey", "-m", llama, "--lengths", "400", "--depths", "0,100", "--methods",
                             "none,streaming:window=32", "-q", "--json", "-"});
  ASSERT_EQ(passkey.status, 0) << passkey.err;
  const Ended repeat = run({"eval", "repeat", book, "-m", llama, "--lengths", "100", "--period", "40", "-q", "--json", "-"});
  ASSERT_EQ(repeat.status, 0) << repeat.err;
  auto all = fields_of(passkey.json());
  all.merge(fields_of(repeat.json()));
  const Ended needle = run({"eval", "needle", book, "-m", llama, "--lengths", "300", "--depths", "50", "-q", "--json", "-"});
  ASSERT_EQ(needle.status, 0) << needle.err;
  all.merge(fields_of(needle.json()));
  const std::string set =
      R"({"documents": [{"name": "a", "text": "Tom saw the sun."}, {"name": "b", "text": "Lily liked the park."}],
    "questions": [{"question": "Who?", "answers": ["a", "e", "i", "o", " "], "document": 1}]})";
  const Ended questions = run({"eval", "questions", write("q.json", set), "-m", stories, "--methods", "none,auto", "--nbce",
                               "entropy", "--nbce", "sum", "-q", "--json", "-"});
  ASSERT_EQ(questions.status, 0) << questions.err;
  EXPECT_EQ(questions.json()["rows"].size(), 7U);
  all.merge(fields_of(questions.json()));
  EXPECT_EQ(all, documented("eval"));
  EXPECT_EQ(passkey.json()["rows"].size(), 2U);
  EXPECT_EQ(passkey.json()["rows"][0]["tried"], 2);
}

TEST_F(ProgramPages, ExplainSaysWhatItWrites) {
  const Ended ended = run({"explain", "-m", llama, "--rope-scaling", "yarn:factor=4", "--json", "-", "--report", at("e.html")});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(fields_of(ended.json()), documented("explain"));
  const Json json = ended.json();
  EXPECT_NEAR(json["pairs"][0]["wavelength"].get<double>(), 2 * M_PI, 1e-9) << "the fastest pair is left alone";
  const Json& slowest = json["pairs"].back();
  EXPECT_NEAR(slowest["wavelength"].get<double>() / slowest["wavelength_before"].get<double>(), 4, 1e-9);
  EXPECT_NEAR(json["scale_last"].get<double>(), std::pow(0.1 * std::log(4.0) + 1, 2), 1e-12);
  EXPECT_NE(read_text(at("e.html")).find("<svg"), std::string::npos);
  const Ended plain = run({"explain", "-m", llama, "--attention", "full", "--length", "1000"});
  EXPECT_NE(plain.out.find("angles it has never met"), std::string::npos) << plain.out;
}

TEST_F(ProgramPages, BenchSaysWhatItWrites) {
  const Ended bench = run({"bench", "-m", llama, "--prompt", "20", "--generate", "3", "--repeat", "2", "--json", "-"});
  ASSERT_EQ(bench.status, 0) << bench.err;
  EXPECT_EQ(fields_of(bench.json()), documented("bench"));
  EXPECT_EQ(bench.json()["prefill_runs"].size(), 2U);
}

TEST_F(ProgramPages, BenchBesidePeersFitsTheProgram) {  // bench/peers.py's command, with its words filled in
  const std::string script = read_text(LONGVIEW_SOURCE "/bench/peers.py");
  std::smatch found;
  ASSERT_TRUE(std::regex_search(script, found, std::regex("OURS = \"build/longview ([^\"]+)\"")));
  std::istringstream words(found[1]);
  Words command;
  for (std::string word; words >> word;)
    command.push_back(word == "{model}" ? llama : word == "{threads}" ? "1" : word[0] == '{' ? "2" : word);
  const Ended ended = run(command);
  ASSERT_EQ(ended.status, 0) << ended.err;
  ASSERT_TRUE(std::regex_search(script, found, std::regex("FIELDS = \\(([^)]+)\\)")));
  const std::string fields = found[1];
  static const std::regex quoted("\"([^\"]+)\"");
  for (std::sregex_iterator it(fields.begin(), fields.end(), quoted), end; it != end; ++it)
    EXPECT_TRUE(ended.json().contains((*it)[1].str())) << (*it)[1];
}

TEST_F(ProgramPages, MethodsPageIsCurrent) {
  const Ended page = run({"list", "--markdown"});
  ASSERT_EQ(page.status, 0) << page.err;
  EXPECT_EQ(page.out, read_text(LONGVIEW_SOURCE "/docs/methods.md")) << "run: build/longview list --markdown >docs/methods.md";
}

using ProgramOutput = Program;

TEST_F(ProgramOutput, WordsAndJsonDoNotMix) {
  const Ended json = run({"read", book, "-m", llama, "--json", "-"});
  EXPECT_EQ(json.json()["book"], "book.txt");
  EXPECT_NE(json.err.find("tokens/s"), std::string::npos);
  const Ended text = run({"generate", "-m", stories, "-p", "Once", "-n", "2"});
  EXPECT_EQ(text.out, " upon a\n");  // nothing but the answer, and no echo in a pipe
  EXPECT_NE(text.err.find("stories260K"), std::string::npos);
  EXPECT_EQ(run({"generate", "-m", stories, "-p", "Once", "-n", "2", "-q"}).err, "");
}

TEST_F(ProgramOutput, HelpIsThereForEveryCommand) {
  for (const Words& words : std::vector<Words>{{}, {"read"}, {"generate"}, {"state"}, {"state", "info"}, {"list"}, {"bench"}}) {
    const Ended help = run(words + Words{"--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.out.find("Usage: longview"), std::string::npos) << help.out;
  }
}

TEST_F(ProgramOutput, AFullStandardOutputIsAnError) {
  const std::string command = std::string("'") + LONGVIEW_PROGRAM + "' list >/dev/full 2>/dev/null";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1);
}

TEST_F(ProgramOutput, OneRunInsideTheTrainedLengthSaysThatNothingLiesPastIt) {
  const Ended ended = run({"read", book, "-m", stories, "--max-tokens", "100", "-q"});
  EXPECT_NE(ended.out.find("stays inside the model's trained length (100 of 512 tokens)"), std::string::npos) << ended.out;
  EXPECT_EQ(ended.out.find("The loss of"), std::string::npos) << ended.out;
}

TEST_F(ProgramOutput, OneTokenHasNoLoss) {
  const Ended ended = run({"read", book, "-m", stories, "--max-tokens", "1", "--json", "-"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_TRUE(ended.json()["nll"].is_null());
  EXPECT_TRUE(ended.json()["perplexity"].is_null());
}

TEST_F(ProgramOutput, SeveralBooksAndJoin) {
  const std::string other = write("other.txt", tale(9));
  const Json apart = run({"read", book, other, "-m", stories, "--json", "-", "-q"}).json();
  const Json joined = run({"read", book, other, "-m", stories, "--join", "--json", "-", "-q"}).json();
  ASSERT_EQ(apart["runs"].size(), 2U);
  EXPECT_EQ(joined["book"], "book.txt + other.txt");
  // Each text alone begins with BOS; joined only the first does.
  EXPECT_NEAR(joined["tokens"].get<double>(), apart["runs"][0]["tokens"].get<double>() + apart["runs"][1]["tokens"].get<double>(),
              3);
}

TEST_F(ProgramOutput, ABookMayComeThroughAPipe) {
  const Ended piped = Child({"read", "-", "-m", stories, "--json", "-", "-q"}, tale(60)).wait();
  ASSERT_EQ(piped.status, 0) << piped.err;
  EXPECT_EQ(piped.json()["nll"], run({"read", book, "-m", stories, "--json", "-", "-q"}).json()["nll"]);
}

TEST_F(ProgramOutput, ReportIsWritten) {
  const Ended ended = run({"read", book, "-m", llama, "--report", at("r.html"), "-q"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(read_text(at("r.html")).rfind("<!doctype html>", 0), 0U);
}

}  // namespace
}  // namespace longview::testing
