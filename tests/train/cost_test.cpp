// Operations are counted as they are done: matrices six times, attention by what a token sees.
#include "longview/train/cost.h"

#include "tests/train/tiny.h"

namespace longview {
namespace {

using testing::small_model;

Trainer trainer_of(const std::string& attention, const std::string& frozen = "") {
  TrainerConfig config;
  config.frozen = frozen;
  return Trainer(fresh_checkpoint(small_model(attention), byte_tokenizer_spec(), 1), config, {}, at::kCPU);
}

double layer_operations(const std::string& attention, int64_t length) {
  const Trainer trainer = trainer_of(attention);
  return attention_operations(trainer.method().attention->at(0), trainer.model().config(), length);
}

TEST(TokenCost, IsSixTimesTheMatricesAndTheAttention) {
  const Trainer trainer = trainer_of("full");
  const auto& c = trainer.model().config();
  const auto E = static_cast<double>(c.width), F = static_cast<double>(c.feed_forward), V = static_cast<double>(c.vocabulary);
  const TokenCost cost = token_cost(trainer.parameters(), c, trainer.method(), 99);
  EXPECT_DOUBLE_EQ(cost.head, 6 * V * E);
  EXPECT_DOUBLE_EQ(cost.layers, 2 * (6 * (4 * E * E + 3 * E * F) + 3 * 4 * E * 50));  // 50: the mean of 1 to 99
}

TEST(TokenCost, OfFrozenMatricesHasNoGradient) {
  const Trainer trainer = trainer_of("full", "mlp");
  const auto& c = trainer.model().config();
  const TokenCost all = token_cost(trainer_of("full").parameters(), c, trainer.method(), 99);
  const TokenCost some = token_cost(trainer.parameters(), c, trainer.method(), 99);
  EXPECT_DOUBLE_EQ(all.layers - some.layers, 2.0 * 2 * 3 * static_cast<double>(c.width * c.feed_forward));
}

TEST(AttentionOperations, GoByWhatATokenSees) {
  const double E = 32, D = 16;  // two heads
  EXPECT_DOUBLE_EQ(layer_operations("window:window=10", 10), 4 * E * 5.5);
  EXPECT_DOUBLE_EQ(layer_operations("window:window=10", 100), 4 * E * (55 + 90 * 10) / 100);
  EXPECT_DOUBLE_EQ(layer_operations("infini:segment=16", 64), 4 * E * 8.5 + 2 * 2 * E * (D + 1));  // read and written
  EXPECT_DOUBLE_EQ(layer_operations("infini:segment=16,rule=delta", 64), 4 * E * 8.5 + 2 * 3 * E * (D + 1));
  EXPECT_DOUBLE_EQ(layer_operations("infini:segment=16,memory=off", 64), 4 * E * 8.5);
}

TEST(PeakOperations, OfTheCpuAreMeasured) { EXPECT_GT(peak_operations(at::kCPU, at::kFloat).value_or(0), 1e8); }

}  // namespace
}  // namespace longview
