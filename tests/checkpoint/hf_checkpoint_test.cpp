// Hugging Face folders: config.json in all its spellings, single and sharded weights, and what makes them unreadable.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "longview/base/file.h"
#include "longview/checkpoint/checkpoint.h"
#include "longview/checkpoint/hf_config.h"
#include "longview/checkpoint/safetensors.h"
#include "tests/checkpoint/gguf_bytes.h"

namespace longview {
namespace {

namespace fs = std::filesystem;
using testing::error_of;

const fs::path kModels = LONGVIEW_GOLDEN "/models";

/// A copy of a golden folder that a test may spoil; removed at its end.
class Copy {
 public:
  explicit Copy(const char* name) {
    std::string folder = (fs::temp_directory_path() / "longview-XXXXXX").string();
    path_ = ::mkdtemp(folder.data());
    fs::copy(kModels / name, path_);
    fs::remove(path_ / "logits.safetensors");
  }
  ~Copy() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }
  const fs::path& path() const { return path_; }
  std::string error(const char* file = "") const {
    return error_of([&] { open_checkpoint(*file ? path_ / file : path_); });
  }
  void edit_config(const std::function<void(Json&)>& change) const {
    Json json = parse_json(read_text(path_ / "config.json"), "config.json");
    change(json);
    write_file(path_ / "config.json", json.dump());
  }

 private:
  fs::path path_;
};

void expect_in(const std::string& error, const std::string& why) { EXPECT_NE(error.find(why), std::string::npos) << error; }

std::vector<float> values(const StoredTensor& tensor) {
  const auto [weights, bytes] = block_shape(tensor.type);
  std::vector<float> out(tensor.bytes.size() / static_cast<size_t>(bytes) * static_cast<size_t>(weights));
  dequantize(tensor.type, tensor.bytes.data(), static_cast<int64_t>(out.size()), out.data());
  return out;
}

// Undoes the pairs of neighbours in llama's GGUF.
std::vector<float> in_halves(const std::vector<float>& rows, int64_t head_width, int64_t width) {
  std::vector<float> out(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<int64_t>(i) / width, in_head = row % head_width;
    const int64_t target = row - in_head + in_head / 2 + in_head % 2 * (head_width / 2);
    out[static_cast<size_t>(target * width + static_cast<int64_t>(i) % width)] = rows[i];
  }
  return out;
}

TEST(HuggingFace, TheSameWeightsAsInGguf) {
  for (const char* name : {"llama", "qwen2", "qwen3", "llama-linear", "llama-yarn", "llama-llama3"}) {
    const auto folder = open_checkpoint(kModels / name), file = open_checkpoint(kModels / name / "model.gguf");
    ASSERT_EQ(folder.tensors.size(), file.tensors.size());
    for (const auto& [key, tensor] : folder.tensors) {
      const auto& other = file.tensors.at(key);
      ASSERT_EQ(tensor.shape, other.shape) << name << " " << key;
      auto theirs = values(other);
      const bool rotated = key.find("q_proj.weight") != std::string::npos || key.find("k_proj.weight") != std::string::npos;
      if (file.config.interleaved_rotary && rotated) theirs = in_halves(theirs, file.config.head_width, tensor.shape.back());
      ASSERT_EQ(values(tensor), theirs) << name << " " << key;
      EXPECT_NO_THROW(check_finite(key, tensor));
    }
    const auto &a = folder.config, &b = file.config;
    EXPECT_EQ(std::tie(a.layers, a.width, a.heads, a.kv_heads, a.head_width, a.feed_forward, a.vocabulary, a.trained_length),
              std::tie(b.layers, b.width, b.heads, b.kv_heads, b.head_width, b.feed_forward, b.vocabulary, b.trained_length));
    EXPECT_EQ(std::tie(a.norm_epsilon, a.rope_base, a.rope_scaling, a.tied_head, a.qkv_bias, a.qk_norm, a.sliding_window),
              std::tie(b.norm_epsilon, b.rope_base, b.rope_scaling, b.tied_head, b.qkv_bias, b.qk_norm, b.sliding_window));
    EXPECT_FALSE(a.interleaved_rotary);
    EXPECT_EQ(folder.tokenizer.tokens, file.tokenizer.tokens);
    EXPECT_EQ(folder.tokenizer.merges, file.tokenizer.merges);
    EXPECT_EQ(folder.tokenizer.stops, file.tokenizer.stops);
    EXPECT_EQ(folder.tokenizer.chat_template, file.tokenizer.chat_template);
    EXPECT_NE(folder.fingerprint, file.fingerprint);
  }
}

TEST(HuggingFace, ArchitecturesAndScalings) {
  const auto config = [](const char* name) { return open_checkpoint(kModels / name).config; };
  EXPECT_EQ(config("llama").storage + config("mistral").storage + config("qwen2").storage, "F32BF16F16");
  EXPECT_EQ(config("mistral").sliding_window, 20);
  EXPECT_EQ(config("mistral").name, "mistral");
  EXPECT_TRUE(config("qwen2").qkv_bias && config("qwen2").tied_head && !config("llama").tied_head);
  EXPECT_EQ(config("qwen2").sliding_window, 0);
  EXPECT_EQ(config("qwen2").rope_base, 1e6);
  EXPECT_TRUE(config("qwen3").qk_norm);
  EXPECT_EQ(config("qwen3").head_width, 32);
  EXPECT_EQ(config("llama-linear").rope_scaling, "linear:factor=4");
  EXPECT_EQ(config("llama-dynamic").rope_scaling, "dynamic:factor=2,original=32");
  EXPECT_EQ(config("llama-yarn").rope_scaling, "yarn:factor=4,original=32");
  EXPECT_EQ(config("llama-llama3").rope_scaling, "llama3:factor=8,low=1,high=4,original=32");
  EXPECT_EQ(config("llama-yarn").rope_source + config("llama-llama3").rope_source, "rope_scalingrope_parameters");
  EXPECT_EQ(config("llama-llama3").rope_base, 100);
  EXPECT_EQ(config("llama-yarn").trained_length, 128);
}

TEST(HuggingFace, AnyFileOfTheFolderOpensIt) {
  const uint64_t single = open_checkpoint(kModels / "qwen2").fingerprint,
                 sharded = open_checkpoint(kModels / "mistral").fingerprint;
  for (const char* file : {"config.json", "model.safetensors"})
    EXPECT_EQ(open_checkpoint(kModels / "qwen2" / file).fingerprint, single);
  for (const char* file : {"config.json", "model.safetensors.index.json", "model-00002-of-00002.safetensors"})
    EXPECT_EQ(open_checkpoint(kModels / "mistral" / file).fingerprint, sharded);
  Copy renamed("qwen2");
  fs::rename(renamed / "model.safetensors", renamed / "other.safetensors");
  EXPECT_EQ(open_checkpoint(renamed.path()).fingerprint, single);
  EXPECT_EQ(open_checkpoint(renamed / "other.safetensors").fingerprint, single);
}

TEST(HuggingFace, EveryArchitectureSharded) {
  for (const char* name : {"llama", "qwen2"}) {
    Copy copy(name);
    Json map = Json::object();
    {
      const MappedFile file(copy / "model.safetensors");
      const auto content = read_safetensors(file.bytes(), name);
      int part = 0;
      for (const auto& [key, entry] : content.tensors) {
        const std::string target = fmt::format("part{}.safetensors", part++);
        write_safetensors(copy.path() / target, {{}, {{key, entry}}});
        map[key] = target;
      }
    }
    fs::remove(copy / "model.safetensors");
    write_file(copy / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());
    EXPECT_EQ(open_checkpoint(copy.path()).fingerprint, open_checkpoint(kModels / name).fingerprint) << name;
  }
}

TEST(HuggingFace, WhatAFolderMayLack) {
  Copy copy("llama");
  expect_in(Copy("llama").error("tokenizer.json"), "is no checkpoint; known are GGUF files");
  fs::remove(copy / "model.gguf");
  fs::remove(copy / "generation_config.json");
  EXPECT_EQ(copy.error(), "");
  fs::remove(copy / "tokenizer_config.json");
  EXPECT_EQ(copy.error(), "");
  fs::remove(copy / "tokenizer.json");
  expect_in(copy.error(), "has no tokenizer.json");
  fs::remove(copy / "model.safetensors");
  expect_in(copy.error(), "has 0 .safetensors files");
  fs::remove(copy / "config.json");
  expect_in(copy.error(), "has no config.json");
  write_file(copy / "x.gguf", "");
  expect_in(copy.error(), "x.gguf");
  expect_in(copy.error("x.gguf"), "is no checkpoint");
  expect_in(error_of([] { open_checkpoint("/nowhere/model"); }), "'/nowhere/model' does not exist");
}

TEST(HuggingFace, RefusesWrongWeights) {
  const auto spoiled = [](const std::function<void(Safetensors&)>& change) {
    Copy copy("qwen2");
    {
      const MappedFile file(kModels / "qwen2" / "model.safetensors");
      auto content = read_safetensors(file.bytes(), "x");
      change(content);
      write_safetensors(copy / "model.safetensors", content);
    }
    return copy.error();
  };
  const std::string norm = "model.norm.weight", bias = "model.layers.1.self_attn.q_proj.bias";
  EXPECT_EQ(spoiled([](auto&) {}), "");
  EXPECT_EQ(spoiled([&](auto& c) { c.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = c.tensors[norm]; }), "");
  EXPECT_EQ(spoiled([&](auto& c) { c.tensors["lm_head.weight"] = c.tensors["model.embed_tokens.weight"]; }), "");
  expect_in(spoiled([&](auto& c) { c.tensors.erase(norm); }), "tensor 'model.norm.weight' is missing");
  expect_in(spoiled([&](auto& c) { c.tensors.erase(bias); }), "q_proj.bias' is missing");
  expect_in(spoiled([&](auto& c) { c.tensors["model.layers.2.mlp.up_proj.weight"] = c.tensors[norm]; }),
            "is no part of a qwen2 model");
  expect_in(spoiled([&](auto& c) { c.tensors[norm].shape = {16, 2}; }), "has shape [16, 2]; its model needs [32]");
  expect_in(spoiled([&](auto& c) { c.tensors[norm].dtype = "I16"; }), "is stored as I16; F32, F16 and BF16 are read");
}

TEST(HuggingFace, RefusesWrongParts) {
  const auto spoiled = [](const std::function<void(Json&)>& change) {
    Copy copy("mistral");
    Json json = parse_json(read_text(copy / "model.safetensors.index.json"), "index");
    change(json);
    write_file(copy / "model.safetensors.index.json", json.dump());
    return copy.error();
  };
  expect_in(spoiled([](auto& j) { j = Json::array(); }), "has no object 'weight_map'");
  expect_in(spoiled([](auto& j) { j["weight_map"]["model.norm.weight"] = 5; }), "must be a text");
  expect_in(spoiled([](auto& j) { j["weight_map"]["model.norm.weight"] = "../x.safetensors"; }),
            "is not the name of a file beside it");
  expect_in(spoiled([](auto& j) { j["weight_map"]["model.norm.weight"] = ".."; }), "is not the name of a file beside it");
  expect_in(spoiled([](auto& j) { j["weight_map"]["model.norm.weight"] = ""; }), "is not the name of a file beside it");
  expect_in(spoiled([](auto& j) { j["weight_map"]["model.norm.weight"] = "gone.safetensors"; }),
            "part 'gone.safetensors' is missing");
  expect_in(spoiled([](auto& j) { j["weight_map"]["model.norm.weight"] = "model-00001-of-00002.safetensors"; }),
            "'model.norm.weight' is not in");
  expect_in(spoiled([](auto& j) { j["weight_map"].erase("model.norm.weight"); }), "tensor 'model.norm.weight' is missing");
}

TEST(HuggingFace, RefusesWrongTokenizers) {
  Copy copy("llama");
  write_file(copy / "tokenizer.json", "{");
  expect_in(copy.error(), "tokenizer.json");
  Copy small("llama");
  small.edit_config([](Json& json) { json["vocab_size"] = 100; });
  expect_in(small.error(), "its tokenizer has 320 tokens, its embedding 100");
}

}  // namespace
}  // namespace longview
