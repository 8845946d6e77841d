// Any checkpoint as a Hugging Face folder: the same model again, whole or not there at all.
#include "longview/checkpoint/export.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "longview/base/file.h"
#include "longview/checkpoint/hf_config.h"
#include "longview/checkpoint/memory_gates.h"
#include "tests/checkpoint/gguf_bytes.h"
#include "tests/temporary_folder.h"

namespace longview {
namespace {

namespace fs = std::filesystem;
using testing::error_of;

const fs::path kModels = LONGVIEW_GOLDEN "/models";

/// Every golden checkpoint, found, not listed, so that none is forgotten.
std::vector<fs::path> golden_checkpoints() {
  std::vector<fs::path> out = {kModels / "stories260K/stories260K.bin"};
  for (const auto& entry : fs::directory_iterator(kModels)) {
    if (!fs::exists(entry.path() / "config.json")) continue;
    out.push_back(entry.path());
    if (fs::exists(entry.path() / "model.gguf")) out.push_back(entry.path() / "model.gguf");
  }
  return out;
}

std::vector<float> values(const StoredTensor& tensor) {
  const auto [weights, bytes] = block_shape(tensor.type);
  std::vector<float> out(tensor.bytes.size() / static_cast<size_t>(bytes) * static_cast<size_t>(weights));
  dequantize(tensor.type, tensor.bytes.data(), static_cast<int64_t>(out.size()), out.data());
  return out;
}

using HfExport = testing::TemporaryFolder;

TEST_F(HfExport, KeepsSizesAndTokenizer) {
  int n = 0;
  for (const auto& path : golden_checkpoints()) {
    SCOPED_TRACE(path.string());
    const Checkpoint source = open_checkpoint(path);
    const fs::path out = root / std::to_string(n++);
    const auto files = export_hugging_face(source, out, {});
    ASSERT_EQ(files.size(), 5U);
    for (const auto& file : files) EXPECT_EQ(static_cast<int64_t>(fs::file_size(out / file.name)), file.bytes) << file.name;
    const Checkpoint written = open_checkpoint(out);
    const auto &a = written.config, &b = source.config;
    EXPECT_EQ(std::tie(a.layers, a.width, a.heads, a.kv_heads, a.head_width, a.feed_forward, a.vocabulary, a.trained_length),
              std::tie(b.layers, b.width, b.heads, b.kv_heads, b.head_width, b.feed_forward, b.vocabulary, b.trained_length));
    EXPECT_EQ(std::tie(a.architecture, a.norm_epsilon, a.rope_base, a.rope_scaling, a.tied_head, a.qkv_bias, a.qk_norm),
              std::tie(b.architecture, b.norm_epsilon, b.rope_base, b.rope_scaling, b.tied_head, b.qkv_bias, b.qk_norm));
    EXPECT_EQ(a.sliding_window, b.sliding_window);
    EXPECT_EQ(a.storage, "F32");
    EXPECT_FALSE(a.interleaved_rotary);
    const auto &s = written.tokenizer, &t = source.tokenizer;
    EXPECT_EQ(s.tokens, t.tokens);
    EXPECT_EQ(s.kinds, t.kinds);
    EXPECT_EQ(std::set(s.stops.begin(), s.stops.end()), std::set(t.stops.begin(), t.stops.end()));
    EXPECT_EQ(std::tie(s.chat_template, s.bos, s.eos, s.pad, s.add_bos, s.split),
              std::tie(t.chat_template, t.bos, t.eos, t.pad, t.add_bos, t.split));
  }
}

// The golden folders and their GGUFs hold the same weights; the one from the GGUF must be the folder again, to the bit.
TEST_F(HfExport, PutsTheRowsOfQAndKBackInHalves) {
  for (const char* name : {"llama", "qwen2", "qwen3", "llama-yarn"}) {
    export_hugging_face(open_checkpoint(kModels / name / "model.gguf"), root / name, {});
    const Checkpoint folder = open_checkpoint(kModels / name), written = open_checkpoint(root / name);
    ASSERT_EQ(written.tensors.size(), folder.tensors.size());
    for (const auto& [key, tensor] : folder.tensors) {
      ASSERT_EQ(written.tensors.at(key).shape, tensor.shape) << key;
      ASSERT_EQ(values(written.tensors.at(key)), values(tensor)) << name << " " << key;
    }
  }
}

TEST_F(HfExport, RoundsToTheTypeThatIsAskedFor) {
  const Checkpoint source = open_checkpoint(kModels / "llama");
  for (const BlockType type : {BlockType::bf16, BlockType::f16}) {
    const fs::path out = root / std::string(block_name(type));
    export_hugging_face(source, out, {type});
    const Checkpoint written = open_checkpoint(out);
    EXPECT_EQ(written.config.storage, block_name(type));
    for (const auto& [key, tensor] : source.tensors) {
      const auto before = values(tensor);
      std::vector<uint8_t> bytes(before.size() * 2);
      quantize(type, before.data(), static_cast<int64_t>(before.size()), bytes.data());
      const auto& now = written.tensors.at(key);
      ASSERT_TRUE(std::equal(now.bytes.begin(), now.bytes.end(), bytes.begin(), bytes.end())) << key;
    }
  }
  const Json config = parse_json(read_text(root / "BF16/config.json"), "config.json");
  EXPECT_EQ(config["torch_dtype"], "bfloat16");
  EXPECT_EQ(config["architectures"][0], "LlamaForCausalLM");
}

TEST_F(HfExport, AddsAndDropsMemoryGates) {
  Checkpoint source = open_checkpoint(kModels / "llama/model.gguf");
  const size_t tensors = source.tensors.size();
  EXPECT_NE(error_of([&] { drop_memory_gates(source); }).find("no memory gates to drop"), std::string::npos);
  EXPECT_NE(error_of([&] { add_memory_gates(source, "infini", "relu", 0); }).find("tanh or sigmoid; got 'relu'"),
            std::string::npos);
  EXPECT_NE(error_of([&] { add_memory_gates(source, "infini", "tanh", -4); }).find("0 or more for a tanh gate"), std::string::npos);
  add_memory_gates(source, "infini:segment=16", "sigmoid", -4);
  EXPECT_NE(error_of([&] { add_memory_gates(source, "infini", "tanh", 0); }).find("has memory gates already"), std::string::npos);
  export_hugging_face(source, root / "with", {BlockType::bf16});
  Checkpoint with = open_checkpoint(root / "with");
  EXPECT_EQ(with.config.attention, "infini:segment=16");
  EXPECT_EQ(with.config.memory_gate, "sigmoid");
  for (int64_t layer = 0; layer < with.config.layers; ++layer) {
    const auto& gate = with.tensors.at(fmt::format("model.layers.{}.self_attn.memory_gate", layer));
    EXPECT_EQ(gate.type, BlockType::f32);
    EXPECT_EQ(values(gate), std::vector<float>(static_cast<size_t>(with.config.heads), -4));
  }
  export_hugging_face(with, root / "again", {});  // gates that are there are kept
  EXPECT_EQ(open_checkpoint(root / "again").config.memory_gate, "sigmoid");
  drop_memory_gates(with);
  EXPECT_EQ(with.tensors.size(), tensors);
  export_hugging_face(with, root / "without", {});
  EXPECT_EQ(read_text(root / "without/config.json").find("longview"), std::string::npos);
}

TEST_F(HfExport, WritesScalingsAndWindowsThatTransformersHas) {
  Checkpoint source = open_checkpoint(kModels / "llama");
  const auto written = [&] { return config_from_json(config_to_json(source, BlockType::f32), "written"); };
  for (const char* setting :
       {"linear:factor=4", "dynamic:factor=2,original=64",
        "yarn:factor=4,original=16,beta_fast=16,beta_slow=2,attention_factor=1.5", "llama3:factor=8,low=1,high=4,original=16",
        "longrope:factor=4,original=16,short=1/1.5,long=2/4,attention_factor=1.25"}) {
    source.config.rope_scaling = setting;
    EXPECT_EQ(written().rope_scaling, setting);
  }
  source.config.rope_scaling = "dynamic:factor=2,original=16";  // transformers counts from max_position_embeddings
  EXPECT_NE(error_of([&] { export_hugging_face(source, root / "out", {}); }).find("no words for the rotary scaling dynamic"),
            std::string::npos);
  source.config.rope_scaling.clear();
  source.config.sliding_window = 24;  // a GGUF's mistral calls itself llama
  EXPECT_EQ(written().architecture, "mistral");
  EXPECT_EQ(written().sliding_window, 24);
  source = open_checkpoint(kModels / "qwen2");
  source.config.sliding_window = 24;
  EXPECT_EQ(written().sliding_window, 24);
  EXPECT_EQ(entries(), 0U);
}

TEST_F(HfExport, WritesOverNothing) {
  fs::copy(kModels / "llama", root / "source");
  const Checkpoint source = open_checkpoint(root / "source"), file = open_checkpoint(root / "source/model.safetensors");
  const auto error = [&](const Checkpoint& from, const fs::path& out, bool is_replacing = true) {
    return error_of([&] { export_hugging_face(from, out, {BlockType::f32, is_replacing}); });
  };
  const auto says = [](const std::string& text, const char* part) { EXPECT_NE(text.find(part), std::string::npos) << text; };
  says(error(source, root / "source/"), "is what is read");
  says(error(source, root / "source/out"), "is inside what is read");
  says(error(file, root / "source"), "holds what is read");
  says(error(source, root), "holds what is read");
  write_file(root / "file", "");
  says(error(source, root / "file"), "is a file");
  says(error(source, root / "no/such"), "there is no folder");
  EXPECT_EQ(error(source, root / "out", false), "");
  says(error(source, root / "out", false), "is not empty; --force replaces");
  EXPECT_EQ(error(source, root / "out"), "");
  write_file(root / "out/notes.txt", "mine");
  says(error(source, root / "out"), "holds 'notes.txt', which is not replaced");
  EXPECT_TRUE(fs::exists(root / "out/config.json"));
  EXPECT_EQ(entries(), 3U);
}

TEST_F(HfExport, LeavesNothingWhenItStops) {
  Checkpoint source = open_checkpoint(kModels / "llama");
  const auto stop = [](int64_t done, int64_t total) { return done < total / 2; };
  EXPECT_NE(error_of([&] {
              export_hugging_face(source, root / "out", {BlockType::f32, false, stop});
            }).find("interrupted"),
            std::string::npos);
  const std::vector<float> large(static_cast<size_t>(source.config.width), 1e6F);
  source.tensors.at("model.norm.weight").bytes = std::span(reinterpret_cast<const uint8_t*>(large.data()), large.size() * 4);
  EXPECT_NE(error_of([&] { export_hugging_face(source, root / "out", {BlockType::f16}); }).find("too large for F16"),
            std::string::npos);
  EXPECT_NE(error_of([&] { export_hugging_face(source, root / "out", {BlockType::q8_0}); }).find("F32, F16 or BF16; got Q8_0"),
            std::string::npos);
  EXPECT_EQ(entries(), 0U);
}

}  // namespace
}  // namespace longview
