// Where numbers stop being finite: the tensor is named, and nothing that is good is touched.
#include "longview/train/fault.h"

#include "tests/train/tiny.h"

namespace longview {
namespace {

using testing::small_model;
using testing::some_batch;

const float kNan = std::numeric_limits<float>::quiet_NaN();

struct Poisoned {
  Trainer trainer = Trainer(fresh_checkpoint(small_model(), byte_tokenizer_spec(), 1), {}, {}, at::kCPU);
  Tensor weight(const std::string& name) const {
    Tensor tensor = trainer.parameters().tensors().at(name).detach();
    return tensor;
  }
  /// What a step finds; the weights are those of before.
  std::string bad() {
    const Tensor before = weight("model.layers.0.self_attn.q_proj.weight").clone();
    const std::string out = trainer.step([] { return some_batch(0); }).bad;
    EXPECT_TRUE(before.equal(weight("model.layers.0.self_attn.q_proj.weight")));
    EXPECT_EQ(trainer.done(), 0);
    return out;
  }
};

TEST(Fault, AParameterIsNamed) {
  Poisoned p;
  p.weight("model.layers.1.mlp.up_proj.weight")[3][4] = kNan;
  EXPECT_EQ(p.bad(), "the parameter 'model.layers.1.mlp.up_proj.weight'");
  EXPECT_EQ(first_bad_parameter(p.trainer.parameters()), "the parameter 'model.layers.1.mlp.up_proj.weight'");
}

TEST(Fault, ALayerWhoseOutputOverflowsIsNamed) {
  Poisoned p;  // each number is finite, their product is not
  p.weight("model.layers.1.mlp.up_proj.weight").fill_(1e30f);
  p.weight("model.layers.1.mlp.gate_proj.weight").fill_(1e30f);
  EXPECT_EQ(p.bad(), "the output of layer 1 ('model.layers.1')");
  EXPECT_EQ(first_bad_parameter(p.trainer.parameters()), "");
}

TEST(Fault, OfGradientsTheOneNearestToTheLossIsNamed) {
  Poisoned p;
  const auto poison = [&](const std::string& name) { p.trainer.parameters().tensors().at(name).grad().fill_(kNan); };
  poison("model.embed_tokens.weight"), poison("model.layers.0.mlp.down_proj.weight"),
      poison("model.layers.1.input_layernorm.weight");
  EXPECT_EQ(first_bad_gradient(p.trainer.parameters()), "the gradient of 'model.layers.1.input_layernorm.weight'");
  poison("lm_head.weight");
  EXPECT_EQ(first_bad_gradient(p.trainer.parameters()), "the gradient of 'lm_head.weight'");
}

TEST(Fault, ANormOfFiniteGradientsThatOverflowsIsSaid) {
  Poisoned p;  // products of 1e25 whose sums are of size 1 again: the gradient behind them is finite, its square is not
  p.weight("model.layers.1.mlp.up_proj.weight").fill_(1e25f);
  p.weight("model.layers.1.mlp.down_proj.weight").fill_(1e-26f);
  EXPECT_EQ(p.bad(), "the norm of the gradients (each of them is finite)");
}

TEST(Fault, NothingIsBadInAGoodModel) {
  Poisoned p;
  EXPECT_EQ(first_bad_parameter(p.trainer.parameters()), "");
  EXPECT_EQ(p.trainer.step([] { return some_batch(0); }).bad, "");
  EXPECT_EQ(first_bad_gradient(p.trainer.parameters()), "");
}

}  // namespace
}  // namespace longview
