// Any checkpoint as a GGUF file: what our reader makes of it is the checkpoint again.
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "longview/base/file.h"
#include "longview/checkpoint/export.h"
#include "longview/checkpoint/memory_gates.h"
#include "tests/checkpoint/gguf_bytes.h"
#include "tests/temporary_folder.h"

namespace longview {
namespace {

namespace fs = std::filesystem;
using testing::error_of;

const fs::path kModels = LONGVIEW_GOLDEN "/models";

std::vector<float> weights_of(const StoredTensor& tensor) {
  const auto [values, bytes] = block_shape(tensor.type);
  std::vector<float> out(tensor.bytes.size() / static_cast<size_t>(bytes) * static_cast<size_t>(values));
  dequantize(tensor.type, tensor.bytes.data(), static_cast<int64_t>(out.size()), out.data());
  return out;
}

using GgufExport = testing::TemporaryFolder;

// The golden GGUFs were written by gguf-py from the folders: rows of Q and K, names, keys and tokens must come out as there.
TEST_F(GgufExport, GivesTheGgufOfTheSameFolder) {
  for (const char* name : {"llama", "llama-linear", "llama-yarn", "llama-llama3", "qwen2", "qwen3"}) {
    SCOPED_TRACE(name);
    const fs::path out = root / fmt::format("{}.gguf", name);
    const auto file = export_gguf(open_checkpoint(kModels / name), out, {});
    EXPECT_EQ(static_cast<int64_t>(fs::file_size(out)), file.bytes);
    const Checkpoint golden = open_checkpoint(kModels / name / "model.gguf"), written = open_checkpoint(out);
    const auto &a = written.config, &b = golden.config;
    EXPECT_EQ(std::tie(a.architecture, a.layers, a.width, a.heads, a.kv_heads, a.head_width, a.feed_forward, a.trained_length),
              std::tie(b.architecture, b.layers, b.width, b.heads, b.kv_heads, b.head_width, b.feed_forward, b.trained_length));
    EXPECT_EQ(std::tie(a.vocabulary, a.norm_epsilon, a.rope_base, a.rope_scaling, a.tied_head, a.qkv_bias, a.interleaved_rotary),
              std::tie(b.vocabulary, b.norm_epsilon, b.rope_base, b.rope_scaling, b.tied_head, b.qkv_bias, b.interleaved_rotary));
    ASSERT_EQ(written.tensors.size(), golden.tensors.size());
    for (const auto& [key, tensor] : golden.tensors) EXPECT_EQ(weights_of(written.tensors.at(key)), weights_of(tensor)) << key;
    const auto &s = written.tokenizer, &t = golden.tokenizer;
    EXPECT_EQ(std::tie(s.tokens, s.kinds, s.merges, s.split, s.bos, s.eos, s.pad, s.add_bos, s.stops, s.chat_template),
              std::tie(t.tokens, t.kinds, t.merges, t.split, t.bos, t.eos, t.pad, t.add_bos, t.stops, t.chat_template));
  }
}

TEST_F(GgufExport, KeepsScoresAndAWindow) {
  const Checkpoint stories = open_checkpoint(kModels / "stories260K/stories260K.bin"),
                   mistral = open_checkpoint(kModels / "mistral");
  export_gguf(stories, root / "stories.gguf", {});
  export_gguf(mistral, root / "mistral.gguf", {BlockType::bf16});
  const auto& spec = open_checkpoint(root / "stories.gguf").tokenizer;
  EXPECT_EQ(
      std::tie(spec.tokens, spec.scores, spec.add_bos, spec.add_space_prefix),
      std::tie(stories.tokenizer.tokens, stories.tokenizer.scores, stories.tokenizer.add_bos, stories.tokenizer.add_space_prefix));
  EXPECT_EQ(open_checkpoint(root / "mistral.gguf").config.sliding_window, 20);
  EXPECT_EQ(open_checkpoint(root / "mistral.gguf").config.storage, "BF16");
}

TEST_F(GgufExport, QuantisesMatricesAndKeepsBlocksThatAreRight) {
  export_gguf(open_checkpoint(kModels / "llama"), root / "q8.gguf", {BlockType::q8_0});
  const Checkpoint exact = open_checkpoint(kModels / "llama/model.gguf"), q8 = open_checkpoint(root / "q8.gguf");
  EXPECT_EQ(q8.config.storage, "Q8_0");
  for (const auto& [key, tensor] : exact.tensors) {
    const auto a = weights_of(tensor), b = weights_of(q8.tensors.at(key));
    const float largest =
        std::abs(*std::max_element(a.begin(), a.end(), [](float x, float y) { return std::abs(x) < std::abs(y); }));
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tensor.shape.size() == 1 ? 0 : largest / 127) << key;
  }
  export_gguf(q8, root / "again.gguf", {BlockType::q8_0});
  for (const auto& [key, tensor] : open_checkpoint(root / "again.gguf").tensors)
    EXPECT_TRUE(std::equal(tensor.bytes.begin(), tensor.bytes.end(), q8.tensors.at(key).bytes.begin())) << key;
}

TEST_F(GgufExport, RefusesWhatItCannotSay) {
  Checkpoint source = open_checkpoint(kModels / "llama");
  const auto error = [&](const fs::path& out) { return error_of([&] { export_gguf(source, out, {}); }); };
  const auto says = [](const std::string& text, const char* part) { EXPECT_NE(text.find(part), std::string::npos) << text; };
  says(error(kModels / "llama/out.gguf"), "is inside what is read");
  says(error(root), "is a folder");
  says(error(root / "no/such.gguf"), "cannot write");
  write_file(root / "there.gguf", "");
  says(error(root / "there.gguf"), "exists; --force");
  source.config.rope_scaling = "dynamic:factor=2,original=64";
  says(error(root / "out.gguf"), "no words for the rotary scaling dynamic");
  source.config.rope_scaling.clear();
  source.tokenizer.add_bos = true, source.tokenizer.nfc = true;
  says(error(root / "out.gguf"), "no words for the steps of this tokenizer");
  source = open_checkpoint(kModels / "llama");
  add_memory_gates(source, "infini", "tanh", 0);
  says(error(root / "out.gguf"), "no words for a memory");
  EXPECT_EQ(entries(), 1U);
}

}  // namespace
}  // namespace longview
