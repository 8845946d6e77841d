// Trainers on ranks: checkpoints are whole whatever the ranks share, adapters too, and validation is of the whole batch.
#include "tests/parallel/ranks.h"
#include "tests/train/tiny.h"

namespace longview {
namespace {

using testing::small_model;
using testing::some_batch;

struct Trained {
  std::vector<double> losses;
  double validation = 0;
  Checkpoint weights;
  std::map<std::string, Tensor> rest;
};

Trained trained(const TrainerConfig& config, const std::shared_ptr<Communicator>& ranks,
                const std::map<std::string, Tensor>& begin = {}) {
  ScheduleConfig schedule;
  schedule.rate = 1e-2, schedule.warmup = 2;
  Trainer trainer(fresh_checkpoint(small_model(), byte_tokenizer_spec(), 1), config, schedule, at::kCPU, ranks);
  std::map<std::string, Tensor> own;
  for (const auto& [name, tensor] : begin) own[name] = tensor.clone();
  if (!own.empty()) trainer.restore(own, 3);
  Trained out;
  for (int64_t n = 0; n < 3; ++n)
    out.losses.push_back(trainer.step([&] { return some_batch(trainer.done(), 4, 64); }).loss.item<double>());
  out.validation = trainer.evaluate(some_batch(100, 4, 64)).item<double>();
  out.weights = trainer.weights(), out.rest = trainer.rest();
  return out;
}

Tensor values(const StoredTensor& stored) {
  const Tensor out = at::empty(stored.shape);
  std::copy(stored.bytes.begin(), stored.bytes.end(), static_cast<uint8_t*>(out.data_ptr()));
  return out;
}

void expect_close(const Trained& a, const Trained& b, double bound) {
  for (size_t n = 0; n < a.losses.size(); ++n) EXPECT_NEAR(a.losses[n], b.losses[n], bound) << "step " << n + 1;
  EXPECT_NEAR(a.validation, b.validation, bound);
  ASSERT_EQ(a.rest.size(), b.rest.size());
  for (const auto& [name, tensor] : a.rest) {
    ASSERT_EQ(tensor.sizes(), b.rest.at(name).sizes()) << name;
    EXPECT_LT((tensor - b.rest.at(name)).abs().max().item<double>(), bound) << name;
  }
  for (const auto& [name, stored] : a.weights.tensors)
    EXPECT_LT((values(stored) - values(b.weights.tensors.at(name))).abs().max().item<double>(), bound + 1e-7)
        << name;  // f32 in files
}

TEST(TrainerRanks, CheckpointsAreWhole) {
  for (const int64_t lora : {0, 4}) {
    TrainerConfig config;
    config.steps = 6, config.precision = "f64", config.lora = lora;
    const Trained one = trained(config, one_rank());
    config.shard = "optimizer";
    for (const int64_t size : {2, 4})
      testing::expect_none(testing::on_ranks(
          size, [&](const std::shared_ptr<Communicator>& ranks) { expect_close(one, trained(config, ranks), 1e-9); }));
    if (lora == 0) continue;  // weights are not in what restore() takes, adapters are
    config.shard = "none";
    const Trained on = trained(config, one_rank(), one.rest);
    config.shard = "optimizer";
    testing::expect_none(testing::on_ranks(
        2, [&](const std::shared_ptr<Communicator>& ranks) { expect_close(on, trained(config, ranks, one.rest), 1e-9); }));
  }
}

TEST(ParametersRanks, MastersStayExactInBf16) {
  const Checkpoint checkpoint = fresh_checkpoint(small_model(), byte_tokenizer_spec(), 1);
  testing::expect_none(testing::on_ranks(3, [&](const std::shared_ptr<Communicator>& ranks) {
    const ParameterOptions options{.type = at::kBFloat16, .ranks = ranks, .is_shared = true};
    Parameters parameters(checkpoint, options);
    const auto before = parameters.masters();
    for (auto& group : parameters.groups()) group.grads.fill_(1 + ranks->rank());
    const auto gradients = parameters.summed_gradients();
    double squares = 0;
    for (size_t g = 0; g < gradients.size(); ++g) {
      auto& group = parameters.groups()[g];
      EXPECT_EQ(group.values.numel() % 3, 0);
      EXPECT_EQ(group.master.numel() * 3, group.values.numel());
      EXPECT_TRUE(gradients[g].eq(6).all().item<bool>());
      squares += 36.0 * static_cast<double>(group.values.numel());
      group.master.add_(gradients[g], 1e-4);
    }
    EXPECT_NEAR(parameters.norm(gradients).item<double>(), std::sqrt(squares), 1e-3);
    parameters.publish();
    for (const auto& [name, master] : parameters.masters()) {
      EXPECT_TRUE(master.equal(before.at(name).add(at::full_like(master, 6), 1e-4))) << name;
      EXPECT_TRUE(parameters.tensors().at(name).equal(master.to(parameters.tensors().at(name).scalar_type()))) << name;
    }
    auto wanted = before;
    for (auto& [name, value] : wanted) value = value.clone();
    parameters.set_masters(wanted);
    for (const auto& [name, master] : parameters.masters()) EXPECT_TRUE(master.equal(wanted.at(name))) << name;
  }));
}

}  // namespace
}  // namespace longview
