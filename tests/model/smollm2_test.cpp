// SmolLM2-135M-Instruct against transformers in float32 (tests/golden/smollm2.py).
#include <gtest/gtest.h>

#include "longview/base/json.h"
#include "longview/infer/generate.h"
#include "longview/infer/reader.h"
#include "longview/kernels/elementwise.h"
#include "tests/kernels/error.h"
#include "tests/model/golden_files.h"

namespace longview {
namespace {

namespace fs = std::filesystem;
using testing::golden_tensors;
using testing::largest_difference;

const fs::path kModel = LONGVIEW_MODELS "/SmolLM2-135M-Instruct.Q4_1.gguf", kGolden = LONGVIEW_GOLDEN;

struct SmolLm2 : ::testing::Test {
  static const Checkpoint& checkpoint() {
    static const Checkpoint checkpoint = open_checkpoint(kModel);
    return checkpoint;
  }
  static const Transformer& model() {
    static const Transformer model(checkpoint());
    return model;
  }
  static const std::map<std::string, Tensor>& golden() {
    static const auto tensors = golden_tensors(kGolden / "smollm2.safetensors");
    return tensors;
  }
  static const Json& notes() {
    static const Json json = parse_json(read_text(kGolden / "smollm2.json"), "smollm2.json");
    return json;
  }
  static std::vector<Id> book(int64_t count) {
    const auto* id = golden().at("ids").data_ptr<int64_t>();
    return {id, id + count};
  }
  /// Logits [512,V] of the book's first tokens.
  static const Tensor& logits() {
    static const Tensor logits = [] {
      const auto out = model().forward({golden().at("ids").narrow(0, 0, 512).unsqueeze(0), 0}, method(), {});
      return model().logits(out.hidden)[0];
    }();
    return logits;
  }
  static Method method(const char* position = "", const char* attention = "") { return model().method(position, attention); }
  /// Mean loss of the book's first tokens.
  static ReadResult read(int64_t count, const Method& method, int64_t chunk, std::vector<int64_t> edges) {
    Session session;
    Reader reader(model(), method, {.chunk = chunk, .edges = std::move(edges), .progress = {}}, session);
    reader.read(book(count));
    return reader.finish();
  }
};

TEST_F(SmolLm2, TokensOfTheBookAgree) {
  const auto tokenizer = make_tokenizer(checkpoint().tokenizer);
  const std::string text = read_text(LONGVIEW_BOOKS "/bible.txt").substr(0, 8 * 8192);
  auto ids = tokenizer->encode(text);
  ASSERT_GE(ids.size(), 8192U);
  ids.resize(8192);
  EXPECT_EQ(ids, book(8192));
}

TEST_F(SmolLm2, LogitsOf512TokensAgree) {
  const auto& g = golden();
  const Tensor& logits = SmolLm2::logits();
  RecordProperty("largest_difference",
                 fmt::format("{:.3g}", largest_difference(logits.index_select(0, g.at("rows")), g.at("logits"))));
  EXPECT_LT(largest_difference(logits.index_select(0, g.at("rows")), g.at("logits")), 1e-3);
  EXPECT_LT(largest_difference(logits.index_select(1, g.at("columns")), g.at("column_logits")), 1e-3);
  EXPECT_LT(largest_difference(at::amax(logits, -1), g.at("max")), 1e-3);
  EXPECT_LT(largest_difference(at::logsumexp(logits.to(at::kDouble), -1), g.at("logsumexp")), 1e-3);
  const Tensor theirs = at::log_softmax(g.at("logits").to(at::kDouble), -1);
  const Tensor ours = at::log_softmax(logits.index_select(0, g.at("rows")).to(at::kDouble), -1);
  EXPECT_LT((theirs.exp() * (theirs - ours)).sum(-1).mean().item<double>(), 1e-6);
  const Tensor best = logits.argmax(-1), differ = (best != g.at("argmax")).nonzero().flatten();
  for (int64_t n = 0; n < differ.numel(); ++n) {  // only where two tokens are as likely as each other
    const Tensor row = logits[differ[n].item<int64_t>()];
    EXPECT_LT((row.max() - row[g.at("argmax")[differ[n]].item<int64_t>()]).item<double>(), 1e-3) << differ[n].item<int64_t>();
  }
}

TEST_F(SmolLm2, EveryLossOf512TokensAgrees) {
  const auto& g = golden();
  const Tensor ours = kernels::nll(logits().narrow(0, 0, 511), g.at("ids").narrow(0, 1, 511));
  EXPECT_LT(largest_difference(ours, g.at("nll").narrow(0, 1, 511)), 1e-3);
}

TEST_F(SmolLm2, LossOf8192TokensAgreesInEveryBucket) {
  const ReadResult result = read(8192, method(), 512, {0, 1024, 2048, 4096, 8192});
  ASSERT_EQ(result.buckets.size(), notes()["buckets"].size());
  double sum = 0;
  for (size_t n = 0; n < result.buckets.size(); ++n) {
    EXPECT_NEAR(result.buckets[n].nll, notes()["buckets"][n]["nll"].get<double>(), 1e-4) << "from " << result.buckets[n].from;
    if (n < 2) sum += result.buckets[n].nll * static_cast<double>(result.buckets[n].tokens);
  }
  EXPECT_NEAR(sum / 2047, notes()["nll"][0]["nll"].get<double>(), 1e-4);
  EXPECT_NEAR(result.nll, notes()["nll"][1]["nll"].get<double>(), 1e-4);
}

TEST_F(SmolLm2, GreedyTextsAgree) {
  const auto tokenizer = make_tokenizer(checkpoint().tokenizer);
  ASSERT_EQ(notes()["greedy"].size(), 3U);
  for (const auto& wanted : notes()["greedy"]) {
    SCOPED_TRACE(wanted["name"].get<std::string>());
    const auto prompt = tokenizer->encode(wanted["text"].get<std::string>(), Specials::parse);
    EXPECT_EQ(prompt, wanted["prompt_ids"].get<std::vector<Id>>());
    Session session;
    feed(model(), method(), prompt, 512, session);
    const auto ids = wanted["ids"].get<std::vector<Id>>();
    const GenerateOptions options{.most = static_cast<int64_t>(ids.size()), .stops = {}, .ignore_end = true, .sample = {}};
    const Generated made = generate(model(), method(), *tokenizer, options, session, [](std::string_view) { return true; });
    const auto split = std::mismatch(ids.begin(), ids.end(), made.ids.begin(), made.ids.end()).first - ids.begin();
    if (split == static_cast<int64_t>(ids.size())) continue;
    EXPECT_LT(wanted["gaps"][split].get<double>(), 1e-3) << "another token than transformers' at step " << split;
  }
}

/// Settings of ours for the methods of tests/golden/long_losses.py, which feeds chunks of 1,024 as this test does.
const std::map<std::string, std::pair<const char*, const char*>> kLongMethods{
    {"plain", {"rope", "full"}},
    {"ntkre", {"dynamic:factor=1", "full"}},
    {"yarn4", {"yarn:factor=4,original=8192", "full"}},
    {"linear4", {"linear:factor=4", "full"}},
    {"sink2048", {"rope", "streaming:window=2048,sinks=4"}},
    {"win2048", {"rope", "window:window=2048"}},
};

TEST_F(SmolLm2, LossesPastTheTrainedLengthAgreeForEveryMethod) {
  if (std::getenv("LONGVIEW_LONG_TESTS") == nullptr) GTEST_SKIP() << "minutes a method: set LONGVIEW_LONG_TESTS=1";
  const Json golden = parse_json(read_text(kGolden / "smollm2_bible_16k.json"), "smollm2_bible_16k.json");
  const auto tokenizer = make_tokenizer(checkpoint().tokenizer);
  const auto tokens = golden["tokens"].get<int64_t>(), chunk = golden["chunk"].get<int64_t>();
  auto ids = tokenizer->encode(read_text(LONGVIEW_BOOKS "/bible.txt").substr(0, static_cast<size_t>(8 * tokens)));
  ASSERT_GE(static_cast<int64_t>(ids.size()), tokens);
  ids.resize(static_cast<size_t>(tokens));
  for (const auto& wanted : golden["methods"]) {
    const auto& [position, attention] = kLongMethods.at(wanted["method"].get<std::string>());
    std::vector<int64_t> edges;
    for (const auto& bucket : wanted["buckets"]) edges.push_back(bucket["from"].get<int64_t>());
    Session session;
    Reader reader(model(), method(position, attention), {.chunk = chunk, .edges = edges, .progress = {}}, session);
    reader.read(ids);
    const ReadResult result = reader.finish();
    ASSERT_EQ(result.buckets.size(), edges.size());
    for (size_t n = 0; n < edges.size(); ++n) {
      const auto theirs = wanted["buckets"][n]["nll"].get<double>();
      EXPECT_NEAR(result.buckets[n].nll, theirs, 1e-3) << wanted["method"] << " from " << edges[n];
      fmt::print("{:9} from {:6}: {:.6f}, transformers {:.6f}\n", wanted["method"].get<std::string>(), edges[n],
                 result.buckets[n].nll, theirs);
    }
  }
}

}  // namespace
}  // namespace longview
