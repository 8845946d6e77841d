// Logits past the trained length: SmolLM2-135M-Instruct against transformers in float32 (tests/golden/long_logits.py), and what it means
// that dynamic NTK is exact.
#include "longview/base/json.h"
#include "longview/infer/session.h"
#include "longview/kernels/elementwise.h"
#include "tests/infer/tiny.h"
#include "tests/kernels/error.h"
#include "tests/model/golden_files.h"

namespace longview {
namespace {

namespace fs = std::filesystem;
using testing::as_tensor;
using testing::largest_difference;
using testing::some_ids;
using testing::tiny_checkpoint;
using testing::tiny_model;

// ---- SmolLM2 at 12,288 tokens

struct Ours {
  const char* position;
  bool in_one_segment;  // as transformers was called: see the script
};
const std::map<std::string, Ours> kMethods{
    {"linear", {"linear:factor=4", false}},
    {"yarn", {"yarn:factor=4,original=8192", false}},
    {"llama3", {"llama3:factor=4,low=1,high=4,original=8192", false}},
    {"longrope",
     {"longrope:factor=4,original=8192,short=1,"
      "long=1/1/1/1/1/1/1/1/1/1/1.02/1.06/1.12/1.2/1.32/1.5/1.75/2.1/2.6/3.2/4/4.3/4.5/4.7/4.8/4.9/5/5/5/5/5/5",
      true}},
    {"dynamic", {"dynamic:factor=1", true}},
};

/// transformers keeps frequencies in f32: the same frequencies for ours.
class InF32 final : public Position {
 public:
  explicit InF32(std::shared_ptr<const Position> of) : Position(of->rotary()), of_(std::move(of)) { setting = of_->setting; }
  Tensor theta(int64_t length) const override { return of_->theta(length).to(at::kFloat).to(at::kDouble); }
  Tensor scale(const Tensor& i, int64_t length) const override { return of_->scale(i, length); }
  Pieces pieces() const override { return of_->pieces(); }

 private:
  std::shared_ptr<const Position> of_;
};

struct LongLogits : ::testing::Test {
  const Json notes = parse_json(read_text(LONGVIEW_GOLDEN "/long_logits.json"), "long_logits.json");
  const std::map<std::string, Tensor> golden = testing::golden_tensors(LONGVIEW_GOLDEN "/long_logits.safetensors");

  std::vector<Id> book(const Checkpoint& checkpoint) const {
    const auto tokens = notes["tokens"].get<size_t>();
    auto ids = make_tokenizer(checkpoint.tokenizer)->encode(read_text(LONGVIEW_BOOKS "/bible.txt").substr(0, 8 * tokens));
    LV_CHECK(ids.size() >= tokens, "[test] the book has only {} tokens", ids.size());
    ids.resize(tokens);
    return ids;
  }

  bool notes_have(const std::string& name) const {
    return std::any_of(notes["methods"].begin(), notes["methods"].end(), [&](const Json& one) { return one["method"] == name; });
  }

  /// Largest difference of the last rows' logits, and the KL divergence of the last row.
  std::pair<double, double> compare(const std::string& name, const Tensor& logits) const {
    const auto of = [&](const char* what) { return golden.at(name + "." + what); };
    const Tensor last = logits[logits.size(0) - 1];  // [V]
    const double largest = std::max({largest_difference(logits.index_select(1, golden.at("columns")), of("columns")),
                                     largest_difference(at::amax(logits, -1), of("max")),
                                     largest_difference(at::logsumexp(logits.to(at::kDouble), -1), of("logsumexp")),
                                     largest_difference(last, of("last"))});
    const Tensor theirs = at::log_softmax(of("last").to(at::kDouble), -1), ours = at::log_softmax(last.to(at::kDouble), -1);
    return {largest, (theirs.exp() * (theirs - ours)).sum().item<double>()};
  }
};

TEST_F(LongLogits, AgreeWithTransformers) {
  if (std::getenv("LONGVIEW_LONG_TESTS") == nullptr) GTEST_SKIP() << "half a minute a method: set LONGVIEW_LONG_TESTS=1";
  const Checkpoint checkpoint = open_checkpoint(LONGVIEW_MODELS "/SmolLM2-135M-Instruct.Q4_1.gguf");
  const Transformer model(checkpoint);
  const auto ids = book(checkpoint);
  const auto T = static_cast<int64_t>(ids.size());
  for (const auto& wanted : notes["methods"]) {
    const auto name = wanted["method"].get<std::string>();
    if (name == "stale") continue;  // what transformers' cache makes of dynamic: docs/results/transformers.md
    SCOPED_TRACE(name);
    const bool has_exact_angles = name.ends_with("64");
    const Ours& ours = kMethods.at(has_exact_angles ? name.substr(0, name.size() - 2) : name);
    Method method = model.method(ours.position, "full");
    if (has_exact_angles) method.position = std::make_shared<InF32>(method.position);
    const int64_t chunk = ours.in_one_segment ? T : notes["chunk"].get<int64_t>(), start = (T - 1) / chunk * chunk;
    Session session;
    feed(model, method, std::span(ids).first(static_cast<size_t>(start)), chunk, session);
    const Tensor hidden = advance(model, method, {as_tensor(std::span(ids).subspan(static_cast<size_t>(start))), start}, session);
    const Tensor rows = model.logits(hidden.narrow(0, hidden.size(0) - 4, 4));  // [4,V]
    const auto [largest, divergence] = compare(name, rows);
    fmt::print("{:9} largest difference {:.2e}, KL {:.2e}\n", name, largest, divergence);
    const bool is_exact =
        has_exact_angles || !notes_have(name + "64");  // else its angles are off by up to 5e-4 radians, and logits with them
    EXPECT_LT(largest, is_exact ? 1e-3 : 2e-3);
    EXPECT_LT(divergence, 1e-6);
    for (const auto& bucket : wanted["buckets"]) {  // of the positions that the last segment predicts
      const auto from = bucket["from"].get<int64_t>(), to = bucket["to"].get<int64_t>();
      if (from - 1 < start) continue;
      const Tensor targets = as_tensor(std::span(ids).subspan(static_cast<size_t>(from), static_cast<size_t>(to - from)))[0];
      const Tensor nll = kernels::nll(model.logits(hidden.narrow(0, from - 1 - start, to - from)), targets);
      EXPECT_NEAR(nll.mean().item<double>(), bucket["nll"].get<double>(), 1e-4) << "from " << from;
    }
  }
}

// ---- Dynamic NTK against recomputation from scratch

/// Logits of the last `rows` tokens, read in chunks whose last one has these rows.
Tensor last_logits(const Transformer& model, const Method& method, std::span<const Id> ids, int64_t chunk, int64_t rows) {
  Session session;
  const auto start = static_cast<int64_t>(ids.size()) - rows;
  feed(model, method, ids.first(static_cast<size_t>(start)), chunk, session);
  return model.logits(advance(model, method, {as_tensor(ids.subspan(static_cast<size_t>(start))), start}, session));
}

Tensor from_scratch(const Transformer& model, const Method& method, std::span<const Id> ids, int64_t rows) {
  const Tensor logits = model.logits(model.forward({as_tensor(ids), 0}, method, {}).hidden)[0];
  return logits.narrow(0, logits.size(0) - rows, rows);
}

constexpr const char* kDynamic = "dynamic:factor=1,original=64";
constexpr int64_t kRows = 20;

// The first layer's keys depend on the tokens alone. So with one layer nothing may be left of the bases that earlier chunks were read
// with: the last chunk is what it is when everything is computed anew with the last base. A cache of rotated keys fails this.
TEST(DynamicFromScratch, TheLastChunkOfOneLayerIsTheSameToRounding) {
  Checkpoint one = tiny_checkpoint();
  std::erase_if(one.tensors, [](const auto& entry) {
    return entry.first.starts_with("model.layers.") && !entry.first.starts_with("model.layers.0.");
  });
  one.config.layers = 1;
  const Transformer model(one);
  const auto ids = some_ids(300);
  const Method method = model.method(kDynamic, "full");
  const Tensor anew = from_scratch(model, method, ids, kRows);
  for (const int64_t chunk : {1, 7, 64, 100, 280})
    EXPECT_LT(largest_difference(last_logits(model, method, ids, chunk, kRows), anew), 1e-4) << "chunks of " << chunk;
  const Tensor plain = from_scratch(model, model.method("rope", "full"), ids, kRows);
  EXPECT_GT(largest_difference(plain, anew), 1e-2) << "the base does not matter here";
}

// With more layers it is not: a deeper key holds what its token attended to when its chunk was read, by the base of then. That is so in
// every cache. Within the original length there is one base, so what is read there in chunks leaves no trace either.
TEST(DynamicFromScratch, DeeperLayersRememberTheBasesOfTheirChunks) {
  const auto ids = some_ids(300);
  const Method method = tiny_model().method(kDynamic, "full");
  const Tensor anew = from_scratch(tiny_model(), method, ids, kRows);
  EXPECT_GT(largest_difference(last_logits(tiny_model(), method, ids, 7, kRows), anew), 1e-4);
  const auto early = std::span(ids).first(64);
  EXPECT_LT(
      largest_difference(last_logits(tiny_model(), method, early, 7, kRows), from_scratch(tiny_model(), method, early, kRows)),
      1e-4);
}

}  // namespace
}  // namespace longview
