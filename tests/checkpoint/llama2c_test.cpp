// llama2.c's .bin: the published stories260K, and files made to its measure or not.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "longview/base/file.h"
#include "longview/checkpoint/checkpoint.h"
#include "tests/checkpoint/gguf_bytes.h"

namespace longview {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::error_of;
using testing::put;

const fs::path kStories = LONGVIEW_GOLDEN "/models/stories260K";

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / fmt::format("longview-llama2c-{}", ::getpid())) { fs::create_directory(path_); }
  ~Folder() { fs::remove_all(path_); }
  fs::path write(const char* name, const Bytes& bytes) const {
    std::ofstream(path_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return path_ / name;
  }
  std::string error(const Bytes& bytes) const {
    const fs::path file = write("model.bin", bytes);
    return error_of([&] { open_checkpoint(file); });
  }

 private:
  fs::path path_;
};

// Width 8, 2 layers, 2 heads over 1, feed-forward 12, length 16; the weights count up from 0 in the file's order.
Bytes small_model(int32_t vocabulary) {
  Bytes out;
  for (const int32_t size : {8, 12, 2, 2, 1, vocabulary, 16}) put(out, size);
  const int embedding = std::abs(vocabulary) * 8, layer = 8 + 64 + 32 + 32 + 64 + 8 + 3 * 96, tables = 16 * 4;
  const int values = embedding + 2 * layer + 8 + tables + (vocabulary < 0 ? embedding : 0);
  for (int i = 0; i < values; ++i) put(out, static_cast<float>(i));
  return out;
}

Bytes tokenizer_of_512() {
  const auto text = read_text(kStories / "tok512.bin");
  return {text.begin(), text.end()};
}

float first_of(const Checkpoint& checkpoint, const std::string& name) {
  float value = -1;
  std::memcpy(&value, checkpoint.tensors.at(name).bytes.data(), sizeof value);
  return value;
}

TEST(Llama2c, Stories260K) {
  const auto checkpoint = open_checkpoint(kStories / "stories260K.bin");
  const auto& c = checkpoint.config;
  EXPECT_EQ(c.architecture + " " + c.name + " " + c.storage, "llama stories260K F32");
  EXPECT_EQ(std::tie(c.layers, c.width, c.heads, c.kv_heads, c.head_width), std::make_tuple(5, 64, 8, 4, 8));
  EXPECT_EQ(std::tie(c.feed_forward, c.vocabulary, c.trained_length), std::make_tuple(172, 512, 512));
  EXPECT_TRUE(c.tied_head && c.interleaved_rotary);
  EXPECT_EQ(std::tie(c.norm_epsilon, c.rope_base, c.rope_scaling), std::make_tuple(1e-5, 1e4, ""));
  EXPECT_EQ(checkpoint.tokenizer.model, "spm");
  EXPECT_EQ(checkpoint.tokenizer.tokens.size(), 512u);
  for (const auto& [name, tensor] : checkpoint.tensors) EXPECT_NO_THROW(check_finite(name, tensor));
}

TEST(Llama2c, OrderOfTheWeights) {
  const Folder folder;
  folder.write("tok512.bin", tokenizer_of_512());
  const auto tied = open_checkpoint(folder.write("model.bin", small_model(512)));
  const float layers = 512 * 8;
  EXPECT_EQ(first_of(tied, "model.embed_tokens.weight"), 0);
  EXPECT_EQ(first_of(tied, "model.layers.1.input_layernorm.weight"), layers + 8);
  EXPECT_EQ(first_of(tied, "model.layers.0.self_attn.q_proj.weight"), layers + 16);
  EXPECT_EQ(first_of(tied, "model.layers.0.self_attn.k_proj.weight"), layers + 16 + 128);
  EXPECT_EQ(first_of(tied, "model.layers.1.self_attn.v_proj.weight"), layers + 16 + 128 + 64 + 32);
  EXPECT_EQ(first_of(tied, "model.layers.0.self_attn.o_proj.weight"), layers + 16 + 128 + 128);
  const float after = layers + 16 + 128 + 128 + 128 + 16;
  EXPECT_EQ(first_of(tied, "model.layers.0.mlp.gate_proj.weight"), after);
  EXPECT_EQ(first_of(tied, "model.layers.0.mlp.down_proj.weight"), after + 192);
  EXPECT_EQ(first_of(tied, "model.layers.1.mlp.up_proj.weight"), after + 192 + 192 + 96);
  EXPECT_EQ(first_of(tied, "model.norm.weight"), after + 3 * 192);
  const auto own = open_checkpoint(folder.write("own.bin", small_model(-512)));
  EXPECT_FALSE(own.config.tied_head);
  EXPECT_EQ(first_of(own, "lm_head.weight"), after + 3 * 192 + 8 + 64);
}

TEST(Llama2c, RefusesOtherFiles) {
  const Folder folder;
  const Bytes whole = small_model(512);
  EXPECT_NE(folder.error(whole).find("needs its tokenizer beside it: tok512.bin or tokenizer.bin"), std::string::npos);
  folder.write("tokenizer.bin", {1, 2, 3});
  EXPECT_NE(folder.error(whole).find("tokenizer.bin"), std::string::npos);
  folder.write("tok512.bin", tokenizer_of_512());
  EXPECT_EQ(folder.error(whole), "");
  for (const size_t size : {0ul, 3ul, 27ul, 28ul, whole.size() / 2, whole.size() - 1})
    EXPECT_NE(folder.error(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).find("is no checkpoint"),
              std::string::npos);
  for (size_t at = 0; at < 28; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      Bytes flipped = whole;
      flipped[at] ^= static_cast<uint8_t>(1 << bit);
      EXPECT_NE(folder.error(flipped).find("model.bin"), std::string::npos) << at << " " << bit;
    }
  Bytes version1 = whole;
  std::memcpy(version1.data(), "42ka", 4);
  EXPECT_NE(folder.error(version1).find("version 1 or 2"), std::string::npos);
  std::memcpy(version1.data(), "PK\x03\x04", 4);
  EXPECT_NE(folder.error(version1).find("PyTorch pickle"), std::string::npos);
}

TEST(Llama2c, ReadsTheTokenizerOfItsVocabulary) {
  const Folder folder;
  folder.write("tok4096.bin", {});
  folder.write("tok512.bin", tokenizer_of_512());
  EXPECT_EQ(folder.error(small_model(512)), "");
}

TEST(CheckFinite, NamesTheTensor) {
  Bytes bytes;
  for (const float value : {1.0F, -INFINITY, 2.0F}) put(bytes, value);
  const StoredTensor tensor{{3}, BlockType::f32, bytes, nullptr};
  EXPECT_NE(
      error_of([&] { check_finite("model.norm.weight", tensor); }).find("'model.norm.weight' has weights that are not finite"),
      std::string::npos);
}

}  // namespace
}  // namespace longview
