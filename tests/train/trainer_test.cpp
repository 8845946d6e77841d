// Training steps: the loss falls, a run that was stopped goes on to the bit, and every way to compute a step gives the same gradients.
#include "longview/train/saved.h"
#include "tests/temporary_folder.h"
#include "tests/train/tiny.h"

namespace longview {
namespace {

using testing::small_model;
using testing::some_batch;

std::vector<float> losses(Trainer& trainer, int64_t steps) {
  std::vector<float> out;
  for (int64_t n = 0; n < steps; ++n) out.push_back(trainer.step([&] { return some_batch(trainer.done()); }).loss.item<float>());
  return out;
}

Checkpoint fresh(const std::string& attention) { return fresh_checkpoint(small_model(attention), byte_tokenizer_spec(), 1); }

TrainerConfig steps_of(int64_t steps, const std::string& optimizer = "adamw") {
  TrainerConfig config;
  config.steps = steps, config.optimizer = optimizer;
  return config;
}

ScheduleConfig fast() {
  ScheduleConfig schedule;
  schedule.rate = 1e-2, schedule.warmup = 10;
  return schedule;
}

/// Methods with a memory of earlier segments.
constexpr std::array kMemories{"infini:segment=16",
                               "transformer_xl:segment=16",
                               "compressive:segment=8,rate=2",
                               "compressive:segment=8,rate=2,function=conv",
                               "memorizing:segment=8,memory=40,top=4",
                               "recurrent_memory:segment=16,tokens=4"};

TEST(Trainer, LearnsARule) {
  std::vector<const char*> methods{"full", "window:window=16"};
  methods.insert(methods.end(), kMemories.begin(), kMemories.end());
  for (const char* attention : methods) {
    Trainer trainer(fresh(attention), steps_of(60), fast(), at::kCPU);
    const auto all = losses(trainer, 60);
    EXPECT_NEAR(all.front(), std::log(256.0), 0.5) << attention;
    EXPECT_LT(all.back(), 2.0F) << attention;
  }
}

TEST(Trainer, EveryOptimizerLearns) {
  for (const auto& entry : optimizers()) {
    ScheduleConfig schedule = fast();
    if (entry.name == "tiger") schedule.rate = 5e-2;  // of a matrix's own size
    Trainer trainer(fresh("full"), steps_of(60, std::string(entry.name)), schedule, at::kCPU);
    const auto all = losses(trainer, 60);
    EXPECT_LT(all.back(), all.front() - 1) << entry.name;
  }
}

class TrainerOnDisk : public testing::TemporaryFolder {};

TEST_F(TrainerOnDisk, GoesOnToTheBit) {
  std::vector<std::pair<std::string, std::string>> cases;  // optimizer, attention
  for (const auto& entry : optimizers()) cases.emplace_back(entry.name, kMemories[0]);
  for (const char* attention : std::span(kMemories).subspan(1)) cases.emplace_back("adamw", attention);
  for (const auto& [optimizer, attention] : cases) {
    SCOPED_TRACE(optimizer + " " + attention);
    const auto folder = root / fmt::format("{}", std::hash<std::string>()(optimizer + attention));
    std::filesystem::create_directory(folder);
    Trainer whole(fresh(attention), steps_of(20, optimizer), fast(), at::kCPU);
    const auto expected = losses(whole, 20);
    Trainer first(fresh(attention), steps_of(20, optimizer), fast(), at::kCPU);
    losses(first, 9);
    save_training(folder / "checkpoint-000009", first, {{"note", "kept"}});
    const auto saved = load_training(folder / "checkpoint-000009");
    EXPECT_EQ(saved.rest["note"], "kept");
    Trainer second(open_checkpoint(folder / "checkpoint-000009" / "model"), steps_of(20, optimizer), fast(), at::kCPU);
    second.restore(saved.tensors, saved.rest["step"].get<int64_t>());
    const auto rest = losses(second, 11);
    for (size_t n = 0; n < rest.size(); ++n) EXPECT_EQ(rest[n], expected[n + 9]) << "step " << n + 10;
  }
}

/// The gradient of every parameter after one batch, f64.
std::map<std::string, Tensor> gradients(const std::string& attention, const std::function<void(TrainerConfig&)>& change,
                                        const std::vector<Batch>& batches) {
  TrainerConfig config = steps_of(1);
  config.precision = "f64", config.clip = 0, config.accumulate = static_cast<int64_t>(batches.size());
  change(config);
  Trainer trainer(fresh(attention), config, fast(), at::kCPU);
  size_t next = 0;
  trainer.step([&] { return batches[next++]; });
  std::map<std::string, Tensor> out;
  for (size_t g = 0; g < trainer.parameters().groups().size(); ++g)
    for (const auto& slice : trainer.parameters().groups()[g].slices)
      out[slice.name] = trainer.parameters().gradient(g).narrow(0, slice.first, slice.count).clone();
  return out;
}

void expect_equal(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, grad] : a) {
    EXPECT_GT(grad.norm().item<double>(), 0) << name;
    EXPECT_LT((grad - b.at(name)).norm().item<double>(), 1e-11 * grad.norm().item<double>()) << name;
  }
}

TEST(Trainer, RecomputedLayersHaveTheSameGradients) {
  for (const char* attention : {"full", "infini:segment=16", "infini:segment=16,rule=delta", "streaming:window=16,sinks=2",
                                "transformer_xl:segment=16", "compressive:segment=8,rate=2,function=conv",
                                "memorizing:segment=8,memory=40,top=4,layers=0-1", "recurrent_memory:segment=16,tokens=4"})
    expect_equal(gradients(attention, [](auto&) {}, {some_batch(1)}),
                 gradients(attention, [](auto& c) { c.recompute = true; }, {some_batch(1)}));
}

TEST(Trainer, SmallBatchesAddUpToALargeOne) {
  const Batch first = some_batch(1), second = some_batch(2);
  Batch both;
  both.ids = at::cat({first.ids, second.ids}), both.targets = at::cat({first.targets, second.targets});
  expect_equal(gradients("infini:segment=16", [](auto&) {}, {both}), gradients("infini:segment=16", [](auto&) {}, {first, second}));
}

TEST(Trainer, TheMemoryInTrainingIsThatOfReading) {
  for (const char* attention : kMemories) {
    Trainer trainer(fresh(attention), steps_of(30), fast(), at::kCPU);
    losses(trainer, 30);
    const Batch batch = some_batch(100, 1, 100);
    const double trained = trainer.evaluate(batch).item<double>();
    const Transformer reader(trainer.weights());
    const c10::InferenceMode inference;
    ModelState state;
    std::vector<Tensor> hidden;
    for (int64_t first = 0; first < 100; first += 7) {
      auto out =
          reader.forward({batch.ids.narrow(1, first, std::min<int64_t>(7, 100 - first)), first}, reader.method("", ""), state);
      hidden.push_back(out.hidden[0]), state = std::move(out.state);
    }
    const Tensor logits = reader.logits(at::cat(hidden));  // [T,V]
    const Tensor expected = at::log_softmax(logits.to(at::kDouble), -1).gather(-1, batch.targets[0].unsqueeze(-1)).mean().neg();
    EXPECT_NEAR(trained, expected.item<double>(), 1e-5) << attention;
  }
}

TEST(Trainer, RowsThatGoOnCarryTheirMemory) {
  const Batch whole = some_batch(7, 2, 64);
  const auto half = [&](int64_t first, bool continues) {
    Batch out;
    out.ids = whole.ids.narrow(1, first, 32), out.targets = whole.targets.narrow(1, first, 32), out.continues = continues;
    out.carried = true;
    return out;
  };
  TrainerConfig still = steps_of(3);
  ScheduleConfig none = fast();
  none.rate = 1e-30;
  for (const char* attention : kMemories) {
    Trainer a(fresh(attention), still, none, at::kCPU), b(fresh(attention), still, none, at::kCPU);
    const double all = a.step([&] { return whole; }).loss.item<double>();
    const double first = b.step([&] { return half(0, false); }).loss.item<double>();
    const double second = b.step([&] { return half(32, true); }).loss.item<double>();
    EXPECT_NEAR(all, (first + second) / 2, 1e-6) << attention;
    const double alone = b.step([&] { return half(32, false); }).loss.item<double>();
    EXPECT_NE(second, alone) << attention;
  }
}

}  // namespace
}  // namespace longview
