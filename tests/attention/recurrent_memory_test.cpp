// A memory in the model's stream: however a text is cut, saved or batched the model says the same, and it learns through the memory.
#include "longview/infer/snapshot.h"
#include "longview/train/trainer.h"
#include "tests/temporary_folder.h"
#include "tests/train/tiny.h"

namespace longview {
namespace {

constexpr const char* kMethod = "recurrent_memory:segment=10,tokens=3";

const Checkpoint& checkpoint() {
  static const Checkpoint made = fresh_checkpoint(testing::small_model(kMethod), byte_tokenizer_spec(), 1);
  return made;
}

const Transformer& model() {
  static const Transformer made(checkpoint());
  return made;
}

Forward read(const Tensor& ids, const std::vector<int64_t>& cuts, ModelState state = {}) {
  const c10::InferenceMode inference;
  std::vector<Tensor> hidden;
  int64_t at = 0;
  for (const int64_t count : cuts) {
    const Segment segment{ids.narrow(1, at, count), state.seen()};
    auto out = model().forward(segment, model().method("", ""), std::move(state));
    hidden.push_back(out.hidden), state = std::move(out.state);
    at += count;
  }
  return {at::cat(hidden, 1), std::move(state)};
}

double difference(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

Tensor text(int64_t B, int64_t T, int64_t number = 3) { return testing::some_batch(number, B, T).ids; }

TEST(RecurrentMemory, CutAnywhereTheModelSaysTheSame) {
  const Tensor ids = text(2, 47);
  const Forward whole = read(ids, {47});
  EXPECT_EQ(whole.state.seen(), 47);
  for (const auto& cuts : {std::vector<int64_t>(47, 1), {10, 10, 10, 10, 7}, {9, 2, 0, 20, 16}, {46, 1}}) {
    const Forward parts = read(ids, cuts);
    EXPECT_LT(difference(parts.hidden, whole.hidden), 1e-5);
    EXPECT_EQ(parts.state.bytes(), whole.state.bytes());
  }
}

TEST(RecurrentMemory, OnlyItsVectorsGoFromSegmentToSegment) {
  const auto& c = model().config();
  const Tensor ids = text(1, 40);
  const Forward out = read(ids, {40});
  EXPECT_EQ(out.state.bytes(), 4 * 3 * c.width);
  Forward later = read(ids, {1}, out.state);
  EXPECT_EQ(later.state.bytes(), 4 * (3 * c.width + c.layers * 2 * c.kv_heads * c.head_width * (3 + 1)));
  Tensor other = ids.clone();
  other[0][2] = (other[0][2] + 1) % 64;
  const Forward changed = read(other, {40});
  EXPECT_GT(difference(changed.hidden.narrow(1, 30, 10), out.hidden.narrow(1, 30, 10)), 1e-7) << "the first segment is remembered";
  EXPECT_EQ(difference(changed.hidden.narrow(1, 0, 2), out.hidden.narrow(1, 0, 2)), 0) << "the past knows nothing of it";
}

TEST(RecurrentMemory, TextsAreReadTogetherAsAlone) {
  const Tensor first = text(1, 25, 1), second = text(1, 18, 2);
  const Forward a = read(first, {13}), b = read(second, {4});
  const std::vector<Segment> segments{{first.narrow(1, 13, 12), 13}, {second.narrow(1, 4, 14), 4}};
  const c10::InferenceMode inference;
  const auto both = model().forward(segments, model().method("", ""), {a.state, b.state});
  EXPECT_EQ(difference(both[0].hidden, read(first.narrow(1, 13, 12), {12}, a.state).hidden), 0);
  EXPECT_EQ(difference(both[1].hidden, read(second.narrow(1, 4, 14), {14}, b.state).hidden), 0);
}

TEST(RecurrentMemory, SeveralTextsInARowAreReadAlone) {
  const Tensor ids = text(1, 40);
  Segment segment{ids};
  segment.texts = {{0, 0, 15}, {0, 17, 23}};
  const c10::InferenceMode inference;
  const Tensor hidden = model().forward(segment, model().method("", ""), {}).hidden;  // [1,40,E]
  EXPECT_EQ(difference(hidden.narrow(1, 0, 15), read(ids.narrow(1, 0, 15), {15}).hidden), 0);
  EXPECT_EQ(difference(hidden.narrow(1, 17, 23), read(ids.narrow(1, 17, 23), {23}).hidden), 0);
  EXPECT_EQ(hidden.narrow(1, 15, 2).abs().max().item<double>(), 0);
}

class RecurrentMemoryOnDisk : public testing::TemporaryFolder {};

TEST_F(RecurrentMemoryOnDisk, ASavedSessionGoesOnToTheBit) {
  const auto ids = text(1, 40).contiguous();
  const std::vector<Id> all(ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + 40);
  const Method method = model().method("", "");
  const c10::InferenceMode inference;
  for (const size_t count : {20, 24}) {  // between two segments, and inside one
    Session live;
    feed(model(), method, std::span(all).first(count), 7, live);
    save_session(root / "state", live, method, model().config(), 1, "a text");
    Restored restored = load_session(root / "state", model().config(), 1);
    for (Session* one : {&live, &restored.session}) feed(model(), method, std::span(all).subspan(count), 5, *one);
    EXPECT_TRUE(at::equal(next_logits(model(), live), next_logits(model(), restored.session)));
  }
}

/// The derivative of a late token's loss by the vectors that the first segment reads, against a finite difference.
TEST(RecurrentMemory, IsLearnedThroughAllSegmentsOfABatch) {
  TrainerConfig config;
  config.precision = "f64", config.clip = 0;
  Batch batch = testing::some_batch(5, 2, 40);
  batch.targets.narrow(1, 0, 32).fill_(-1);
  ScheduleConfig none;
  none.rate = 1e-30;
  Trainer trainer(checkpoint(), config, none, at::kCPU);
  trainer.step([&] { return batch; });
  const std::string name = "model.attention.memory_tokens";
  Tensor gradient;
  for (size_t g = 0; g < trainer.parameters().groups().size(); ++g)
    for (const auto& slice : trainer.parameters().groups()[g].slices)
      if (slice.name == name) gradient = trainer.parameters().gradient(g).narrow(0, slice.first, slice.count).view(slice.shape);
  ASSERT_TRUE(gradient.defined());
  EXPECT_GT(gradient.norm().item<double>(), 0);
  const Tensor along = at::randn(gradient.sizes(), at::make_generator<at::CPUGeneratorImpl>(4), at::kDouble);
  const Tensor value = trainer.parameters().tensors().at(name).detach(), kept = value.clone();
  const auto loss_at = [&](double distance) {
    value.copy_(kept + distance * along);
    return trainer.evaluate(batch).item<double>();
  };
  const double step = 1e-5, wanted = (loss_at(step) - loss_at(-step)) / (2 * step), ours = (gradient * along).sum().item<double>();
  EXPECT_NEAR(ours, wanted, 1e-6 * (std::abs(wanted) + 1e-3));
}

TEST(RecurrentMemory, AnotherNumberOfVectorsIsRefused) {
  EXPECT_THROW(model().method("", "recurrent_memory:segment=10,tokens=4"), Error);
  EXPECT_NO_THROW(model().method("", "recurrent_memory:segment=20,tokens=3"));
  EXPECT_EQ(model().method("", "recurrent_memory:segment=20").attention->setting, "recurrent_memory:segment=20,tokens=3");
  EXPECT_THROW(model().method("", "recurrent_memory:segment=300,tokens=3"), Error);
  EXPECT_THROW(model().method("", "recurrent_memory:segment=-3,tokens=3"), Error);
}

}  // namespace
}  // namespace longview
