// 200 steps beside plain PyTorch from the same weights and batches (tests/golden/training.py), and the same bits again after a restart.
#include "longview/base/file.h"
#include "longview/train/own_method.h"
#include "longview/train/saved.h"
#include "tests/temporary_folder.h"
#include "tests/train/tiny.h"

namespace longview {
namespace {

constexpr int64_t kSteps = 200;

/// In [-0.1, 0.1), from Knuth's linear congruential generator.
Tensor some_weights(uint64_t seed, const std::vector<int64_t>& shape) {
  const Tensor out = at::empty(shape);
  uint64_t x = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (int64_t i = 0; i < out.numel(); ++i) {
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    out.data_ptr<float>()[i] = static_cast<float>((static_cast<double>(x >> 33) / 2147483648.0 * 2 - 1) * 0.1);
  }
  return out;
}

Checkpoint begin() {
  FreshConfig config;
  config.layers = 2, config.width = 32, config.heads = 4, config.kv_heads = 2, config.feed_forward = 64, config.length = 256;
  Checkpoint out = fresh_checkpoint(config, byte_tokenizer_spec(), 1);
  uint64_t seed = 0;
  for (auto& [name, tensor] : out.tensors)
    tensor = in_memory(some_weights(seed++, tensor.shape) + (tensor.shape.size() == 1 ? 1 : 0));
  return out;
}

Trainer trainer_of(const Checkpoint& checkpoint) {
  TrainerConfig config;
  config.steps = kSteps;
  ScheduleConfig schedule;
  schedule.rate = 3e-3, schedule.warmup = 20, schedule.least = 0.1, schedule.shape = "cosine";
  return Trainer(checkpoint, config, schedule, at::kCPU);
}

float next_loss(Trainer& trainer) {
  return trainer.step([&] { return testing::some_batch(trainer.done(), 4, 64); }).loss.item<float>();
}

class GoldenTraining : public testing::TemporaryFolder {};

TEST_F(GoldenTraining, LossesArePyTorchs) {
  const Json golden = parse_json(read_text(fmt::format("{}/training.json", LONGVIEW_GOLDEN)), "training.json");
  Trainer trainer = trainer_of(begin());
  double worst = 0;
  for (int64_t step = 0; step < kSteps; ++step) {
    const double expected = golden["losses"][static_cast<size_t>(step)].get<double>(), loss = next_loss(trainer);
    ASSERT_NEAR(loss, expected, 1e-3 * expected) << "step " << step + 1;
    worst = std::max(worst, std::abs(loss / expected - 1));
  }
  RecordProperty("largest_relative_difference", fmt::format("{:.2e}", worst));
}

TEST_F(GoldenTraining, TwoHundredStepsAreTheSameBitsAcrossARestart) {
  Trainer whole = trainer_of(begin()), first = trainer_of(begin());
  std::vector<float> expected;
  for (int64_t step = 0; step < kSteps; ++step) expected.push_back(next_loss(whole));
  for (int64_t step = 0; step < kSteps / 2; ++step) ASSERT_EQ(next_loss(first), expected[static_cast<size_t>(step)]);
  save_training(root / "checkpoint-000100", first, Json::object());
  const auto saved = load_training(root / "checkpoint-000100");
  Trainer second = trainer_of(open_checkpoint(root / "checkpoint-000100" / "model"));
  second.restore(saved.tensors, kSteps / 2);
  for (size_t step = kSteps / 2; step < kSteps; ++step) ASSERT_EQ(next_loss(second), expected[step]) << step;
}

}  // namespace
}  // namespace longview
