// Models with a position of their own: what it learns is trained, saved and read again; heads of length 1; scales that stay.
#include "longview/train/own_method.h"

#include "longview/base/file.h"
#include "longview/train/saved.h"
#include "tests/temporary_folder.h"
#include "tests/train/tiny.h"

namespace longview {
namespace {

using testing::small_model;
using testing::some_batch;

TrainerConfig steps_of(int64_t steps) {
  TrainerConfig config;
  config.steps = steps;
  return config;
}

ScheduleConfig fast() {
  ScheduleConfig schedule;
  schedule.rate = 1e-2, schedule.warmup = 10;
  return schedule;
}

Checkpoint fresh(const FreshConfig& config) { return fresh_checkpoint(config, byte_tokenizer_spec(), 1); }

FreshConfig with_position(const std::string& position) {
  FreshConfig config = small_model("");
  config.position = position;
  return config;
}

double last_loss(Trainer& trainer, int64_t steps) {
  double loss = 0;
  for (int64_t n = 0; n < steps; ++n) loss = trainer.step([&] { return some_batch(trainer.done()); }).loss.item<double>();
  return loss;
}

/// Mean loss of a batch with the model as a file has it, read as `longview read` does.
double read_loss(const Checkpoint& checkpoint, const Batch& batch) {
  const Transformer model(checkpoint);
  const c10::InferenceMode inference;
  const auto out = model.forward({batch.ids, 0}, model.method("", ""), {});
  const Tensor logits = model.logits(out.hidden[0].contiguous());  // [T,V]
  return at::log_softmax(logits.to(at::kDouble), -1).gather(-1, batch.targets[0].unsqueeze(-1)).mean().neg().item<double>();
}

class OwnMethod : public testing::TemporaryFolder {};

TEST_F(OwnMethod, IsTrainedSavedAndReadAgain) {
  for (const char* position : {"nope", "alibi", "kerple", "kerple:kind=power", "t5", "sandwich", "fire", "xpos", "hwfa", "hwfa2",
                               "rope:logn=trained", "ntk:factor=2", "rerope:window=16"}) {
    SCOPED_TRACE(position);
    Trainer trainer(fresh(with_position(position)), steps_of(40), fast(), at::kCPU);
    const auto begin = trainer.weights();
    EXPECT_LT(last_loss(trainer, 40), 3) << "5.5 at first";
    const auto folder = root / fmt::format("{}", std::hash<std::string>{}(position));
    save_training(folder, trainer, Json::object());
    const Checkpoint saved = open_checkpoint(folder / "model");
    EXPECT_EQ(saved.config.own_position(), trainer.method().position->setting);
    for (const auto& [name, initial] : trainer.method().position->learned()) {
      const auto bytes = [&](const Checkpoint& c) {
        const auto found = c.tensors.at("model.position." + name).bytes;
        return std::vector<uint8_t>(found.begin(), found.end());
      };
      EXPECT_NE(bytes(begin), bytes(saved)) << name << " was not trained";
    }
    const Batch batch = some_batch(100, 1, 64);
    EXPECT_NEAR(read_loss(saved, batch), trainer.evaluate(batch).item<double>(), 1e-5);
  }
}

TEST_F(OwnMethod, GradientsReachWhatAPositionLearnsThroughRecomputedLayers) {
  for (const char* position : {"kerple", "t5", "fire"}) {
    const auto gradient = [&](bool recompute) {
      TrainerConfig config = steps_of(1);
      config.precision = "f64", config.recompute = recompute;
      Trainer trainer(fresh(with_position(position)), config, fast(), at::kCPU);
      last_loss(trainer, 1);
      std::map<std::string, Tensor> out;
      for (size_t g = 0; g < trainer.parameters().groups().size(); ++g)
        for (const auto& slice : trainer.parameters().groups()[g].slices)
          if (slice.name.starts_with("model.position."))
            out[slice.name] = trainer.parameters().gradient(g).narrow(0, slice.first, slice.count).clone();
      return out;
    };
    const auto kept = gradient(false), again = gradient(true);
    ASSERT_FALSE(kept.empty());
    for (const auto& [name, value] : kept) {
      if (name != "model.position.fire_output_bias")  // the same for every key: the softmax takes it away
        EXPECT_GT(value.norm().item<double>(), 1e-9) << name;
      EXPECT_LT((value - again.at(name)).norm().item<double>(), 1e-11 * value.norm().item<double>() + 1e-15) << name;
    }
  }
}

TEST_F(OwnMethod, NoOtherMethodGoesOverOneThatWasTrainedIn) {
  const Transformer model(fresh(with_position("alibi")));
  EXPECT_THROW(model.method("yarn:factor=2", ""), Error);
  EXPECT_EQ(model.method("", "").position->setting.substr(0, 5), "alibi");
  EXPECT_EQ(model.method("alibi:logn=clipped", "").position->setting.substr(0, 5), "alibi");
}

TEST_F(OwnMethod, TheScaleAModelWasTrainedWithStays) {
  const Transformer model(fresh(with_position("rope:logn=trained")));
  const Tensor i = at::tensor({300}, at::kLong);
  const double logn = std::log(301.0) / std::log(256.0);
  for (const char* position :
       {"", "rerope:window=64", "ntk:factor=2", "ntk:factor=2,logn=trained", "leaky_rerope:window=64,factor=4"})
    EXPECT_NEAR(model.method(position, "").position->scale(i, 301).item<double>(), logn, 1e-12) << position;
  EXPECT_EQ(model.method("none", "").position->scale(i, 301).item<double>(), 1);
}

TEST_F(OwnMethod, HeadsOfLengthOne) {
  const int64_t D = 16;
  const auto kept = [&](const std::string& normalize) {
    FreshConfig config = small_model("");
    config.normalize = normalize;
    return fresh(config).config;
  };
  EXPECT_EQ(kept("key").normalized, "key");
  EXPECT_NEAR(kept("cosine").score_scale, 4 * std::log(128.0), 1e-12);
  // A model of one layer whose attention sees the norms: changing the length of K's rows changes nothing where keys are normalised.
  for (const char* normalize : {"", "key", "query", "cosine"}) {
    FreshConfig config = small_model("");
    config.normalize = normalize, config.norm_epsilon = 1e-9;
    const auto loss = [&](const char* scaled) {
      Checkpoint checkpoint = fresh(config);
      for (auto& [name, tensor] : checkpoint.tensors) {
        if (name.find(scaled) == std::string::npos) continue;
        const auto held = std::make_shared<Tensor>(
            at::from_blob(const_cast<uint8_t*>(tensor.bytes.data()), tensor.shape, at::kFloat).mul(3).contiguous());  // NOLINT
        tensor.bytes = {static_cast<const uint8_t*>(held->data_ptr()), static_cast<size_t>(held->nbytes())};
        tensor.values = held;
      }
      return read_loss(checkpoint, some_batch(1, 1, 64));
    };
    const double plain = loss("nothing"), keys = loss("k_proj"), queries = loss("q_proj");
    const std::string way = normalize;
    EXPECT_EQ(std::abs(plain - keys) < 1e-6, way == "key" || way == "cosine") << way;
    EXPECT_EQ(std::abs(plain - queries) < 1e-6, way == "query" || way == "cosine") << way;
  }
  // The scores themselves: with cosine, those of a query and its own direction are the scale.
  FreshConfig config = small_model("");
  config.normalize = "cosine", config.score_scale = 7;
  const Checkpoint made = fresh(config);
  Trainer trainer(made, steps_of(30), fast(), at::kCPU);
  EXPECT_LT(last_loss(trainer, 30), 3);
  save_training(root / "cosine", trainer, Json::object());
  const Checkpoint saved = open_checkpoint(root / "cosine" / "model");
  EXPECT_EQ(saved.config.score_scale, 7);
  EXPECT_EQ(saved.config.head_width, D);
  const Batch batch = some_batch(100, 1, 64);
  EXPECT_NEAR(read_loss(saved, batch), trainer.evaluate(batch).item<double>(), 1e-5);
}

TEST_F(OwnMethod, TransformersIsNotToldThatItKnowsSuchAModel) {
  for (const char* position : {"alibi", "rope"}) {
    const auto folder = root / position;
    Trainer trainer(fresh(with_position(position)), steps_of(1), fast(), at::kCPU);
    save_training(folder, trainer, Json::object());
    const Json config = parse_json(read_text(folder / "model" / "config.json"), "config.json");
    EXPECT_EQ(config["model_type"], std::string(position) == "rope" ? "llama" : "longview");
  }
}

}  // namespace
}  // namespace longview
