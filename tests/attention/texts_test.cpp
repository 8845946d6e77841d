// Several texts in a row are read as if each were alone, and tokens that stand apart as the definition says.
#include "longview/attention/texts.h"

#include <gtest/gtest.h>

#include "longview/attention/scored.h"
#include "longview/segment/rows.h"
#include "tests/train/tiny.h"

namespace longview {
namespace {

using testing::small_model;
using testing::some_batch;

const Tensor& numbers() {  // two texts and padding; one text; padding in front, three texts
  static const Tensor out = at::tensor({0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1,  //
                                        2,  2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,  2,   //
                                        -1, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5,  5},
                                       at::kLong)
                                .view({3, 20});
  return out;
}

TEST(Texts, SpansAreWhatTheNumbersSay) {
  std::string found;
  for (const auto& span : text_spans(numbers())) found += fmt::format("{}:{}+{} ", span.row, span.first, span.count);
  EXPECT_EQ(found, "0:0+10 0:10+8 1:0+20 2:1+1 2:2+11 2:13+7 ");
}

TEST(Texts, EachIsReadAsIfItWereAlone) {
  for (const char* attention : {"full", "window:window=6", "streaming:window=6,sinks=2", "infini:segment=4", "hwfa2"}) {
    const Transformer model(fresh_checkpoint(small_model(attention), byte_tokenizer_spec(), 1));
    const Method method = model.method("", "");
    Segment all{some_batch(1, 3, 20).ids};
    all.texts = text_spans(numbers());
    const Tensor hidden = model.forward(all, method, {}).hidden;  // [3,20,E]
    for (const auto& span : all.texts) {
      const Segment alone{all.ids.narrow(0, span.row, 1).narrow(1, span.first, span.count)};
      const Tensor expected = model.forward(alone, method, {}).hidden;  // [1,count,E]
      const Tensor found = hidden.narrow(0, span.row, 1).narrow(1, span.first, span.count);
      EXPECT_LT((found - expected).abs().max().item<double>(), 1e-5) << attention;
    }
  }
}

TEST(Texts, ABatchOfThemIsReadLikeEachAloneInEveryPrecision) {
  const std::vector<int64_t> from{0, 3}, count{20, 7};
  const at::NoGradGuard guard;
  for (const char* attention : {"full", "infini:segment=4", "infini:segment=4,overlap=2", "recurrent_memory:segment=4"}) {
    const Tensor ids = some_batch(1, 2, 20).ids;
    std::vector<Tensor> exact;
    for (const char* precision : {"f32", "bf16"}) {
      TrainerConfig config;  // whose model has its matrices in this precision on a CPU too
      config.steps = 1, config.precision = precision;
      const Trainer trainer(fresh_checkpoint(small_model(attention), byte_tokenizer_spec(), 1), config, {}, at::kCPU);
      const bool is_exact = trainer.type() == at::kFloat;
      EXPECT_EQ(is_exact, std::string(precision) == "f32");
      const Transformer& model = trainer.model();
      std::vector<Segment> segments;
      for (int64_t n = 0; n < 2; ++n) segments.push_back({ids.narrow(0, n, 1).narrow(1, from[n], count[n])});
      const auto together = model.forward(segments, trainer.method(), std::vector<ModelState>(2));
      for (size_t n = 0; n < 2; ++n) {
        const Tensor alone = model.logits(model.forward(segments[n], trainer.method(), {}).hidden).to(at::kFloat);
        const Tensor logits = model.logits(together[n].hidden).to(at::kFloat);  // [1,count,V]
        EXPECT_LT((logits - alone).abs().max().item<double>(), is_exact ? 1e-5 : 2e-2) << attention;
        if (is_exact) exact.push_back(logits);
        else EXPECT_LT((logits - exact[n]).abs().max().item<double>(), 5e-2) << attention;
        if (!is_exact) EXPECT_GT((logits - exact[n]).abs().max().item<double>(), 0) << attention;
      }
    }
  }
}

TEST(Texts, AMemoryEndsWithItsText) {
  const Transformer model(fresh_checkpoint(small_model("infini:segment=4"), byte_tokenizer_spec(), 1));
  TrainerConfig config;
  config.steps = 4;
  ScheduleConfig still;
  still.rate = 1e-30;
  Trainer trainer(fresh_checkpoint(small_model("infini:segment=4"), byte_tokenizer_spec(), 1), config, still, at::kCPU);
  const Batch whole = some_batch(3, 2, 24);
  const auto part = [&](int64_t first, std::vector<int64_t> document, bool continues) {
    Batch out;
    out.ids = whole.ids.narrow(1, first, 8), out.targets = whole.targets.narrow(1, first, 8);
    out.document = at::tensor(document, at::kLong).view({2, 1}).expand({2, 8}).contiguous();
    out.carried = true, out.continues = continues;
    return trainer.step([&] { return out; }).loss.item<double>();
  };
  part(0, {0, 0}, false);
  const double same = part(8, {0, 0}, true), other = part(8, {1, 1}, false);
  part(0, {0, 0}, false);
  const double both_new = part(8, {1, 1}, true);
  EXPECT_NEAR(both_new, other, 1e-6) << "an empty memory, as at the beginning";
  EXPECT_GT(std::abs(same - other), 1e-5);
}

TEST(Texts, PositionsOfALongTextAgreeWithTheDefinition) {
  const std::vector<int64_t> places = {0, 1, 2, 7, 8, 9, 10, 40, 41, 90, 91, 92};
  const auto T = static_cast<int64_t>(places.size());
  at::manual_seed(1);
  const auto like = at::TensorOptions(at::kFloat);
  const Tensor q = at::randn({2, 4, T, 16}, like), k = at::randn({2, 2, T, 16}, like), v = at::randn({2, 2, T, 16}, like);
  View view{.k = k, .v = v, .from = std::vector<int64_t>(places.size(), 0), .to = {}, .query = places, .keys = places};
  for (int64_t t = 0; t < T; ++t) view.to.push_back(t + 1);
  for (const auto& entry : positions()) {
    if (entry.name == "longrope") continue;  // it needs lists
    const auto position = make_position(entry.name, Rotary{16, 10000, 64, "", 4, 2, {}});
    View exact = view;
    exact.k = k.to(at::kDouble), exact.v = v.to(at::kDouble);
    const Tensor expected = scored_by_definition(q.to(at::kDouble), {exact}, *position, places.back() + 1);
    const Tensor found = scored(q, {view}, *position, places.back() + 1);
    EXPECT_LT((found - expected).abs().max().item<double>(), 2e-4) << entry.name;
  }
}

TEST(Texts, TheRightPlacesAreTheSameAsNone) {
  const Transformer model(fresh_checkpoint(small_model("full"), byte_tokenizer_spec(), 1));
  Segment segment{some_batch(1, 2, 32).ids};
  const Tensor plain = model.forward(segment, model.method("", ""), {}).hidden;
  segment.positions = at::arange(32, at::kLong);
  EXPECT_LT((model.forward(segment, model.method("", ""), {}).hidden - plain).abs().max().item<double>(), 1e-6);
  segment.positions = at::arange(32, at::kLong) * 3;
  EXPECT_GT((model.forward(segment, model.method("", ""), {}).hidden - plain).abs().max().item<double>(), 1e-3);
  EXPECT_THROW(model.forward({segment.ids.narrow(1, 0, 8), 0, {}, {}, {}, segment.positions}, model.method("", ""), {}), Error);
}

TEST(Texts, PoseAndPackedTextsTrain) {
  TrainerConfig config;
  config.steps = 40;
  ScheduleConfig schedule;
  schedule.rate = 1e-2, schedule.warmup = 10;
  for (const bool is_pose : {true, false}) {
    Trainer trainer(fresh_checkpoint(small_model("full"), byte_tokenizer_spec(), 1), config, schedule, at::kCPU);
    double loss = 0;
    for (int64_t n = 0; n < 40; ++n)
      loss = trainer
                 .step([&] {
                   Batch batch = some_batch(n);
                   if (is_pose) batch.positions = at::cat({at::arange(32, at::kLong), at::arange(150 + n, 182 + n, at::kLong)});
                   else batch.document = at::arange(64, at::kLong).div(20, "floor").expand({2, 64}).contiguous();
                   return batch;
                 })
                 .loss.item<double>();
    EXPECT_LT(loss, 2.6) << is_pose;
  }
  Trainer window(fresh_checkpoint(small_model("window:window=8"), byte_tokenizer_spec(), 1), config, schedule, at::kCPU);
  Batch batch = some_batch(1);
  batch.positions = at::arange(64, at::kLong);
  EXPECT_THROW(window.step([&] { return batch; }), Error);
}

}  // namespace
}  // namespace longview
