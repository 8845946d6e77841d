// Low-rank adapters: at first the model is what it was, only they change, merged or beside the weights the model is the same, and a training
// goes on to the bit.
#include <fstream>

#include "longview/base/file.h"
#include "longview/train/own_method.h"
#include "longview/train/saved.h"
#include "tests/temporary_folder.h"
#include "tests/train/tiny.h"

namespace longview {
namespace {

using testing::some_batch;

class Lora : public testing::TemporaryFolder {
 protected:
  static Checkpoint base() {
    static const Checkpoint made = fresh_checkpoint(testing::small_model("infini:segment=16"), byte_tokenizer_spec(), 1);
    return made;
  }
  static TrainerConfig config(int64_t rank = 4) {
    TrainerConfig out;
    out.steps = 40, out.lora = rank, out.trained = "memory_gate";
    return out;
  }
  static ScheduleConfig fast() {
    ScheduleConfig schedule;
    schedule.rate = 1e-2, schedule.warmup = 5;
    return schedule;
  }
  static std::vector<float> losses(Trainer& trainer, int64_t steps) {
    std::vector<float> out;
    for (int64_t n = 0; n < steps; ++n) out.push_back(trainer.step([&] { return some_batch(trainer.done()); }).loss.item<float>());
    return out;
  }
  static std::vector<uint8_t> bytes(const Checkpoint& checkpoint, const std::string& name) {
    const auto found = checkpoint.tensors.at(name).bytes;
    return {found.begin(), found.end()};
  }
};

TEST_F(Lora, BeginsAsTheModelAndChangesOnlyWhatItSays) {
  Trainer trainer(base(), config(), fast(), at::kCPU), plain(base(), {}, fast(), at::kCPU);
  EXPECT_EQ(trainer.evaluate(some_batch(5)).item<float>(), plain.evaluate(some_batch(5)).item<float>());
  const int64_t E = 32, F = 128, r = 4, layers = 2, heads = 2;
  EXPECT_EQ(trainer.parameters().count(), layers * (4 * r * (E + E) + 3 * r * (E + F) + heads));
  const auto all = losses(trainer, 40);
  EXPECT_LT(all.back(), all.front() - 0.1F);
  const Checkpoint after = trainer.weights();
  for (const auto& [name, tensor] : base().tensors) {
    const bool is_changed = name.find("_proj.") != std::string::npos || name.ends_with("memory_gate");
    EXPECT_EQ(bytes(after, name) != bytes(base(), name), is_changed) << name;
  }
}

TEST_F(Lora, MergedIsTheModelThatWasTrained) {
  Trainer trainer(base(), config(), fast(), at::kCPU);
  losses(trainer, 20);
  save_training(root / "checkpoint-000020", trainer, Json::object());
  const Batch batch = some_batch(100);
  const double trained = trainer.evaluate(batch).item<double>();
  Trainer saved(open_checkpoint(root / "checkpoint-000020" / "model"), {}, fast(), at::kCPU);
  EXPECT_NEAR(saved.evaluate(batch).item<double>(), trained, 1e-5);
  Trainer merged_here(merged(base(), read_adapter(root / "checkpoint-000020" / "adapter")), {}, fast(), at::kCPU);
  EXPECT_NEAR(merged_here.evaluate(batch).item<double>(), trained, 1e-5);
}

TEST_F(Lora, StoredInFewerBits) {
  Trainer trainer(base(), config(), fast(), at::kCPU);
  losses(trainer, 20);
  const Adapter whole = *trainer.adapter();
  write_adapter(root / "whole", whole);
  write_adapter(root / "half", stored_as(read_adapter(root / "whole"), BlockType::bf16));
  const Adapter half = read_adapter(root / "half");
  for (const auto& [name, tensor] : half.tensors)
    EXPECT_EQ(tensor.type, is_adapter(name) ? BlockType::bf16 : BlockType::f32) << name;
  const Batch batch = some_batch(100);
  Trainer again(merged(base(), half), {}, fast(), at::kCPU);
  EXPECT_NEAR(again.evaluate(batch).item<double>(), trainer.evaluate(batch).item<double>(), 2e-3);
  EXPECT_THROW(stored_as(whole, BlockType::q8_0), Error);
  EXPECT_TRUE(is_adapter_folder(root / "half"));
  EXPECT_FALSE(is_adapter_folder(root));
}

TEST_F(Lora, AnotherModelByItsFingerprint) {
  Trainer trainer(base(), config(), fast(), at::kCPU);
  losses(trainer, 1);
  EXPECT_EQ(fingerprint_of(base()), fingerprint_of(base()));
  EXPECT_NE(merged(base(), *trainer.adapter()).fingerprint, fingerprint_of(base()));
}

TEST_F(Lora, GoesOnToTheBit) {
  Trainer whole(base(), config(), fast(), at::kCPU), first(base(), config(), fast(), at::kCPU),
      second(base(), config(), fast(), at::kCPU);
  const auto expected = losses(whole, 20);
  losses(first, 9);
  save_training(root / "checkpoint-000009", first, Json::object());
  const auto saved = load_training(root / "checkpoint-000009");
  second.restore(saved.tensors, 9);
  const auto rest = losses(second, 11);
  for (size_t n = 0; n < rest.size(); ++n) EXPECT_EQ(rest[n], expected[n + 9]) << n;
}

TEST_F(Lora, AdaptersOfModelsWithNeighbouringPairsAreInHalves) {
  Checkpoint turned = base();
  turned.config.interleaved_rotary = true;
  Trainer trainer(turned, config(), fast(), at::kCPU);
  losses(trainer, 10);
  const Batch batch = some_batch(100);
  const double trained = trainer.evaluate(batch).item<double>();
  Trainer again(merged(turned, *trainer.adapter()), {}, fast(), at::kCPU);
  EXPECT_NEAR(again.evaluate(batch).item<double>(), trained, 1e-5);
}

TEST_F(Lora, BadAdaptersAreRefused) {
  const auto message = [](const auto& action) {
    try {
      action();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_NE(message([&] { read_adapter(root); }).find("has no adapter_config.json"), std::string::npos);
  Trainer trainer(base(), config(), fast(), at::kCPU);
  const Adapter good = *trainer.adapter();
  Adapter alone = good;
  alone.tensors.erase("model.layers.0.self_attn.q_proj.lora_B.weight");
  EXPECT_NE(message([&] { write_adapter(root / "alone", alone); }).find("has no partner"), std::string::npos);
  FreshConfig other = testing::small_model("");
  other.width = 64;
  EXPECT_NE(message([&] { merged(fresh_checkpoint(other, byte_tokenizer_spec(), 1), good); }).find("[adapter]"), std::string::npos);
  write_adapter(root / "good", good);
  for (const auto& [key, value] : std::map<std::string, Json>{{"peft_type", "IA3"}, {"lora_alpha", 0}, {"use_dora", true}}) {
    Json json = parse_json(read_text(root / "good" / "adapter_config.json"), "");
    json[key] = value;
    std::filesystem::create_directories(root / key);
    write_file(root / key / "adapter_config.json", json.dump());
    std::filesystem::copy_file(root / "good" / "adapter_model.safetensors", root / key / "adapter_model.safetensors");
    EXPECT_NE(message([&] { read_adapter(root / key); }).find("[adapter]"), std::string::npos) << key;
  }
  TrainerConfig wrong = config();
  wrong.lora_targets = "nothing_like_it";
  EXPECT_NE(message([&] { Trainer(base(), wrong, fast(), at::kCPU); }).find("no matrix has 'nothing_like_it'"), std::string::npos);
}

}  // namespace
}  // namespace longview
