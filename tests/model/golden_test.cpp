// Tiny checkpoints of every architecture and scaling against the logits that transformers computes (tests/golden/checkpoints.py).
#include <gtest/gtest.h>

#include "longview/model/transformer.h"
#include "tests/kernels/error.h"
#include "tests/model/golden_files.h"
#include "tests/model/plain_forward.h"

namespace longview {
namespace {

namespace fs = std::filesystem;
using testing::as_exact_as_plain;
using testing::golden_tensors;
using testing::largest_difference;
using testing::PlainModel;

const fs::path kModels = LONGVIEW_GOLDEN "/models";

/// Folders of transformers' models with that file in them; found, not listed, so that none is forgotten.
std::vector<std::string> tiny_models(const char* with = "logits.safetensors") {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(kModels))
    if (fs::exists(entry.path() / "logits.safetensors") && fs::exists(entry.path() / with)) out.push_back(entry.path().filename());
  std::sort(out.begin(), out.end());
  return out;
}

/// Our logits [T,V] of all tokens read as one segment.
Tensor logits_of(const fs::path& path, const Tensor& ids) {
  const Transformer model(open_checkpoint(path));
  const auto out = model.forward({ids.unsqueeze(0), 0}, model.method("", ""), {});
  return model.logits(out.hidden)[0];
}

class TinyModel : public ::testing::TestWithParam<std::string> {
 protected:
  const fs::path folder = kModels / GetParam();
  const std::map<std::string, Tensor> golden = golden_tensors(folder / "logits.safetensors");
  const Tensor ids = golden.at("input_ids"), rows = golden.at("rows"), theirs = golden.at("logits");
};

TEST_P(TinyModel, LogitsAreAsCloseToFloat64AsThoseOfTransformers) {
  const Checkpoint checkpoint = open_checkpoint(folder);
  const auto position = Transformer(checkpoint).method("", "").position;
  const Tensor exact = PlainModel(checkpoint, at::kDouble).logits(ids, *position).index_select(0, rows);  // [R,V]
  const Tensor ours = logits_of(folder, ids).index_select(0, rows);
  EXPECT_LT(largest_difference(theirs, exact), 1e-4) << "the float64 pass of this test computes another function";
  EXPECT_TRUE(as_exact_as_plain(ours, theirs, exact));
}

struct TinyGguf : TinyModel {};

TEST_P(TinyGguf, GivesTheSameLogits) {
  const Tensor hf = logits_of(folder, ids), gguf = logits_of(folder / "model.gguf", ids);
  EXPECT_LT(largest_difference(gguf.index_select(0, rows), theirs), 1e-4);
  EXPECT_LT(largest_difference(gguf, hf), 1e-4);
}

struct TinyScaled : TinyModel {};

TEST_P(TinyScaled, LogitsDependOnTheCheckpointsOwnMethod) {
  const Transformer model(open_checkpoint(folder));
  const auto plain = model.forward({ids.unsqueeze(0), 0}, model.method("rope", "full"), {});
  EXPECT_GT(largest_difference(model.logits(plain.hidden)[0].index_select(0, rows), theirs), 0.01);
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

const std::vector<std::string> kScaled{"llama-dynamic", "llama-linear", "llama-llama3", "llama-yarn", "mistral"};
INSTANTIATE_TEST_SUITE_P(Golden, TinyModel, ::testing::ValuesIn(tiny_models()), test_name);
INSTANTIATE_TEST_SUITE_P(Golden, TinyGguf, ::testing::ValuesIn(tiny_models("model.gguf")), test_name);
INSTANTIATE_TEST_SUITE_P(Golden, TinyScaled, ::testing::ValuesIn(kScaled), test_name);

TEST(TinyModels, CoverEveryArchitectureAndScaling) {
  EXPECT_EQ(tiny_models(), (std::vector<std::string>{"llama", "llama-dynamic", "llama-linear", "llama-llama3", "llama-yarn",
                                                     "mistral", "qwen2", "qwen3"}));
}

}  // namespace
}  // namespace longview
