// GGUF metadata as a model's sizes, rotation and tokenizer, and the real model's facts.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>

#include "longview/checkpoint/gguf.h"
#include "longview/checkpoint/hf_config.h"
#include "tests/checkpoint/gguf_bytes.h"

namespace longview {
namespace {

using testing::Bytes;
using testing::error_of;
using testing::GgufBytes;
using testing::put;
using testing::tiny_gguf;

Checkpoint open(const GgufBytes& file, const std::string& name = "file.gguf") {
  return checkpoint_from_gguf(read_gguf(file.bytes(), nullptr, name), name);  // its tensors point at bytes that are gone
}

void expect_refused(const GgufBytes& file, const std::string& why) {
  const std::string error = error_of([&] { open(file); });
  EXPECT_NE(error.find("file.gguf"), std::string::npos) << error;
  EXPECT_NE(error.find(why), std::string::npos) << error;
}

// The file without one of its keys: written under another name.
GgufBytes without(GgufBytes file, const std::string& key) {
  const auto found = std::search(file.keys.begin(), file.keys.end(), key.begin(), key.end());
  LV_CHECK(found != file.keys.end(), "[test] no key '{}'", key);
  *found = '_';
  return file;
}

TEST(GgufCheckpoint, Llama) {
  const auto checkpoint = open(tiny_gguf().f32("llama.rope.freq_base", 5e5F).text("general.name", "Inside"));
  const auto& c = checkpoint.config;
  EXPECT_EQ(c.architecture, "llama");
  EXPECT_EQ(c.name, "file");
  EXPECT_EQ(c.storage, "F32");
  EXPECT_EQ(std::tie(c.layers, c.width, c.heads, c.kv_heads, c.head_width), std::make_tuple(1, 4, 2, 1, 2));
  EXPECT_EQ(std::tie(c.feed_forward, c.vocabulary, c.trained_length, c.sliding_window), std::make_tuple(6, 6, 16, 0));
  EXPECT_EQ(c.norm_epsilon, 1e-5);
  EXPECT_EQ(c.rope_base, 5e5);
  EXPECT_EQ(c.rope_scaling + c.rope_source, "");
  EXPECT_TRUE(c.tied_head && c.interleaved_rotary && !c.qkv_bias && !c.qk_norm);
  EXPECT_EQ(checkpoint.tensors.at("model.layers.0.mlp.down_proj.weight").shape, (std::vector<int64_t>{4, 6}));
}

TEST(GgufCheckpoint, Qwen) {
  const auto second = open(tiny_gguf("qwen2")).config, third = open(tiny_gguf("qwen3").u32("qwen3.attention.key_length", 2)).config;
  EXPECT_TRUE(second.qkv_bias && !second.qk_norm && !second.interleaved_rotary);
  EXPECT_TRUE(!third.qkv_bias && third.qk_norm && !third.interleaved_rotary);
}

TEST(GgufCheckpoint, HeadOfItsOwn) { EXPECT_FALSE(open(tiny_gguf().tensor("output.weight", {4, 6})).config.tied_head); }

TEST(GgufCheckpoint, NamesForPeople) {
  const auto name = [](const char* path) { return open(tiny_gguf().text("general.name", "Inside"), path).config.name; };
  EXPECT_EQ(name("/models/SmolLM2-135M-Instruct.Q4_1.gguf"), "SmolLM2-135M-Instruct");
  EXPECT_EQ(name("qwen2.5-0.5b-instruct-q5_k_m.gguf"), "qwen2.5-0.5b-instruct");
  EXPECT_EQ(name("Llama-3.2-1B-f16.gguf"), "Llama-3.2-1B");
  EXPECT_EQ(name("tiny-7b.gguf"), "tiny-7b");
  EXPECT_EQ(name("ggml-model-Q4_0.gguf"), "Inside");
  EXPECT_EQ(name("model.gguf"), "Inside");
}

TEST(GgufCheckpoint, RotationsAsFilesScaleThem) {
  const auto scaling = [](GgufBytes file) { return open(file).config.rope_scaling; };
  const auto typed = [](const char* type) { return tiny_gguf().text("llama.rope.scaling.type", type); };
  EXPECT_EQ(scaling(typed("none").f32("llama.rope.scaling.factor", 4)), "");
  EXPECT_EQ(scaling(typed("linear")), "");
  EXPECT_EQ(scaling(typed("linear").f32("llama.rope.scaling.factor", 1.1F)), "linear:factor=1.1");
  EXPECT_EQ(scaling(tiny_gguf().f32("llama.rope.scale_linear", 4)), "linear:factor=4");
  EXPECT_EQ(scaling(tiny_gguf().f32("llama.rope.scale_linear", 1)), "");
  EXPECT_THROW(scaling(typed("longrope").f32("llama.rope.scaling.factor", 4)), Error) << "without its lists";
  EXPECT_EQ(scaling(typed("yarn").f32("llama.rope.scaling.factor", 4)), "yarn:factor=4,original=16");
  EXPECT_EQ(
      scaling(typed("yarn")
                  .f32("llama.rope.scaling.factor", 4)
                  .u32("llama.rope.scaling.original_context_length", 8)
                  .f32("llama.rope.scaling.yarn_beta_fast", 16)
                  .f32("llama.rope.scaling.attn_factor", 0.5F)),
      "yarn:factor=4,original=8,beta_fast=16,beta_slow=1,attention_factor=" + fmt::format("{}", 0.5 * (0.1 * std::log(4.0) + 1)));
  expect_refused(typed("yarn"), "yarn scaling needs 'factor'");
  expect_refused(typed("yarn").f32("llama.rope.scaling.factor", NAN), "must be above 0; got nan");
  expect_refused(typed("yarn").f32("llama.rope.scaling.factor", 4).f32("llama.rope.scaling.yarn_ext_factor", 0.5F),
                 "yarn_ext_factor");
  expect_refused(typed("a:b"), "is not the name of a rotary scaling");
  expect_refused(tiny_gguf().u32("llama.rope.dimension_count", 1), "rotates 1 of the 2 numbers of a head");
}

TEST(GgufCheckpoint, DivisorsAreCheckedAgainstTheHead) {
  const auto divisors = [](std::vector<uint64_t> dims) { return tiny_gguf().tensor("rope_freqs.weight", std::move(dims)); };
  expect_refused(divisors({2}), "has 2 numbers for heads of 2");
  expect_refused(divisors({1, 1}), "must be a row of F32");
  expect_refused(divisors({1}), "must be numbers from 1 up");  // it is 0
}

// A row of F32 with these values.
GgufBytes& add_row(GgufBytes& file, const std::string& name, const std::vector<float>& values) {
  file.tensor(name, {values.size()});
  file[name].data.clear();
  for (const float value : values) put(file[name].data, value);
  return file;
}

// Trained for 8 tokens and stretched to 16, heads of 2: one rotary pair.
GgufBytes with_lists(const std::vector<float>& shorter, const std::vector<float>& longer) {
  GgufBytes file = tiny_gguf().u32("llama.rope.scaling.original_context_length", 8);
  return add_row(add_row(file, "rope_factors_short.weight", shorter), "rope_factors_long.weight", longer);
}

TEST(GgufCheckpoint, ListsOfLongRopeAreItsScaling) {
  // The factor is context_length / original, as in config.json; attn_factor multiplies cos and sin, and is 1 when absent.
  EXPECT_EQ(open(with_lists({1.1F}, {2.5F})).config.rope_scaling,
            "longrope:factor=2,original=8,short=1.1,long=2.5,attention_factor=1");
  EXPECT_EQ(open(with_lists({1}, {2})).config.rope_source, "rope_factors_long.weight");
  const auto usual = static_cast<float>(std::sqrt(1 + std::log(2.0) / std::log(8.0)));
  EXPECT_EQ(open(with_lists({1}, {2}).f32("llama.rope.scaling.attn_factor", usual)).config.rope_scaling,
            "longrope:factor=2,original=8,short=1,long=2");
  EXPECT_EQ(open(with_lists({1}, {2}).text("llama.rope.scaling.type", "longrope").f32("llama.rope.scaling.attn_factor", 1.25F))
                .config.rope_scaling,
            "longrope:factor=2,original=8,short=1,long=2,attention_factor=1.25");
}

TEST(GgufCheckpoint, ListsOfLongRopeAreReadAsThoseOfAFolder) {
  const std::vector<float> shorter{1, 1.05F}, longer{1.2F, 7.75F};
  GgufBytes file = tiny_gguf().u32("llama.attention.key_length", 4).u32("llama.rope.scaling.original_context_length", 8);
  add_row(add_row(file, "rope_factors_short.weight", shorter), "rope_factors_long.weight", longer);
  file.f32("llama.rope.scaling.attn_factor", static_cast<float>(std::sqrt(1 + std::log(2.0) / std::log(8.0))));
  for (const auto& [name, dims] : std::map<std::string, std::vector<uint64_t>>{
           {"attn_q", {4, 8}}, {"attn_k", {4, 4}}, {"attn_v", {4, 4}}, {"attn_output", {8, 4}}}) {
    auto& tensor = file["blk.0." + name + ".weight"];
    tensor.dims = dims;
    tensor.data.resize(dims[0] * dims[1] * sizeof(float));
  }
  const Json json = parse_json(
      R"({"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 4, "intermediate_size": 6, "num_attention_heads": 2,
          "num_key_value_heads": 1, "head_dim": 4, "vocab_size": 6, "max_position_embeddings": 16, "original_max_position_embeddings": 8,
          "rope_scaling": {"rope_type": "longrope", "short_factor": [1.0, 1.05], "long_factor": [1.2, 7.75]}})",
      "config.json");
  EXPECT_EQ(open(file).config.rope_scaling, config_from_json(json, "config.json").rope_scaling);
  EXPECT_EQ(open(file).config.rope_scaling, "longrope:factor=2,original=8,short=1/1.05,long=1.2/7.75");
}

TEST(GgufCheckpoint, RefusesWrongListsOfLongRope) {
  expect_refused(with_lists({1, 1}, {2}), "'rope_factors_short.weight' has 2 numbers for heads of 2");
  expect_refused(with_lists({1}, {2, 2}), "'rope_factors_long.weight' has 2 numbers for heads of 2");
  for (const float wrong : {0.0F, -1.0F, NAN, INFINITY}) {
    expect_refused(with_lists({1}, {wrong}), "must be above 0");
    expect_refused(with_lists({wrong}, {1}), "must be above 0");
  }
  GgufBytes one = tiny_gguf();
  expect_refused(add_row(one, "rope_factors_long.weight", {2}), "has only one of");
  expect_refused(with_lists({1}, {2}).f32("llama.rope.scaling.factor", 4).text("llama.rope.scaling.type", "yarn"),
                 "has both yarn scaling and the lists of longrope");
  expect_refused(with_lists({1}, {2}).f32("llama.rope.scaling.attn_factor", 0), "'attention_factor' of longrope scaling");
  expect_refused(with_lists({1}, {2}).f32("llama.rope.scaling.attn_factor", NAN), "must be above 0; got nan");
  GgufBytes zero = tiny_gguf().u32("llama.rope.scaling.original_context_length", 0);
  add_row(add_row(zero, "rope_factors_short.weight", {1}), "rope_factors_long.weight", {2});
  expect_refused(zero, "must be at least 1; got 0");
}

TEST(GgufCheckpoint, DivisorsOfLlama3NeedNoScalingType) {
  GgufBytes file = tiny_gguf();
  EXPECT_EQ(open(add_row(file, "rope_freqs.weight", {1})).config.rope_scaling, "");
  const auto scaled = open_checkpoint(LONGVIEW_GOLDEN "/models/llama-llama3/model.gguf").config;
  EXPECT_TRUE(scaled.rope_scaling.starts_with("llama3:")) << scaled.rope_scaling;
  EXPECT_EQ(scaled.rope_source, "rope_freqs.weight");
}

TEST(GgufCheckpoint, RefusesWrongKeys) {
  for (const char* key : {"general.architecture", "llama.block_count", "llama.embedding_length", "llama.feed_forward_length",
                          "llama.attention.head_count", "llama.context_length", "llama.attention.layer_norm_rms_epsilon"})
    expect_refused(without(tiny_gguf(), key), fmt::format("'{}' is missing", key));
  expect_refused(without(tiny_gguf(), "llama.attention.head_count_kv"), "k_proj.weight' has shape [2, 4]; its model needs [4, 4]");
  GgufBytes unknown;
  expect_refused(unknown.text("general.architecture", "lama"), "known: llama, qwen2 and qwen3");
  GgufBytes number;
  expect_refused(number.u32("general.architecture", 1), "'general.architecture' must be text");
  expect_refused(tiny_gguf().text("llama.attention.key_length", "2"), "must be a whole number");
  expect_refused(tiny_gguf().u32("llama.attention.value_length", 4), "only equal ones are read");
  expect_refused(tiny_gguf().u32("llama.attention.key_length", 3), "head width must be even");
  expect_refused(tiny_gguf().f32("llama.rope.freq_base", 0), "rotary base");
  expect_refused(tiny_gguf().key<int64_t>("llama.attention.sliding_window", 11, -1), "sliding window must not be negative");
  expect_refused(tiny_gguf().u32("split.count", 3), "one of 3 parts");
}

TEST(GgufCheckpoint, RefusesWrongTensors) {
  const auto with = [](const char* name, auto change) {
    GgufBytes file = tiny_gguf("qwen3");
    change(file[name]);
    return file;
  };
  expect_refused(with("blk.0.attn_q.weight", [](auto& t) { t.name = "blk.0.attn_x.weight"; }), "'blk.0.attn_x.weight' is no part");
  expect_refused(with("blk.0.attn_q.weight", [](auto& t) { t.name = "blk.1.attn_q.weight"; }),
                 "'model.layers.0.self_attn.q_proj.weight' is missing");
  expect_refused(with("token_embd.weight", [](auto& t) { t.name = "output.weight"; }), "'token_embd.weight' is missing");
  expect_refused(with("token_embd.weight", [](auto& t) { t.dims = {6, 4}; }), "embedding 4");
  expect_refused(with("blk.0.ffn_down.weight", [](auto& t) { t.dims = {4, 6}; }), "has shape [6, 4]; its model needs [4, 6]");
  expect_refused(with("blk.0.attn_q_norm.weight", [](auto& t) { t.dims = {1}; }), "has shape [1]; its model needs [2]");
  expect_refused(with("blk.0.attn_q_norm.weight", [](auto& t) { t.name = "blk.0.attn_q.bias"; }), "qwen3 without the norms");
  expect_refused(tiny_gguf().tensor("blk.1.attn_norm.weight", {4}), "is no part of a llama model with 1 layers");
  expect_refused(tiny_gguf().tensor("blk.-1.attn_norm.weight", {4}), "is no part");
  expect_refused(tiny_gguf().tensor("blk.0.attn_output.bias", {4}), "is no part");
}

TEST(GgufCheckpoint, RefusesWrongTokenizers) {
  const auto other = [](auto change) {
    GgufBytes file = tiny_gguf();
    for (const char* key : {"tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.merges",
                            "tokenizer.ggml.token_type", "tokenizer.ggml.eos_token_id"})
      file = without(file, key);
    change(file);
    return file;
  };
  const std::string at = "tokenizer.ggml.";
  const std::vector<std::string> two = {"a", "b"};
  expect_refused(other([](auto&) {}), "has no tokenizer");
  expect_refused(other([&](auto& f) { f.text(at + "model", "bert"); }),
                 "unknown tokenizer 'bert' (tokenizer.ggml.model); known: gpt2 and llama");
  expect_refused(other([&](auto& f) { f.text(at + "model", "gpt2"); }), "'tokenizer.ggml.tokens' is missing");
  const auto gpt2 = [&](auto change) {
    return other([&](auto& f) { change(f.text(at + "model", "gpt2").texts(at + "tokens", two)); });
  };
  EXPECT_EQ(open(gpt2([](auto&) {})).tokenizer.split, "gpt-2");
  expect_refused(gpt2([&](auto& f) { f.text(at + "pre", "smolm"); }), "did you mean 'smollm'?");
  expect_refused(gpt2([&](auto& f) { f.texts(at + "merges", {"ab"}); }), "merge 'ab' is not two parts");
  expect_refused(gpt2([&](auto& f) { f.texts(at + "merges", {"a "}); }), "merge 'a ' is not two parts");
  expect_refused(gpt2([&](auto& f) { f.template many<int32_t>(at + "token_type", 5, {1}); }), "1 token types for 2 tokens");
  expect_refused(gpt2([&](auto& f) { f.template many<int32_t>(at + "token_type", 5, {1, 9}); }), "token type 9");
  expect_refused(gpt2([&](auto& f) { f.u32(at + "bos_token_id", 2); }), "'tokenizer.ggml.bos_token_id' is 2; the vocabulary has 2");
  EXPECT_EQ(open(gpt2([&](auto& f) { f.u32(at + "padding_token_id", ~0u); })).tokenizer.pad, -1);
  expect_refused(gpt2([&](auto& f) { f.u32(at + "tokens2", 1).text(at + "chat", "x").u32("tokenizer.chat_template", 1); }),
                 "must be text");
  const auto spm = other([&](auto& f) { f.text(at + "model", "llama").texts(at + "tokens", two); });
  expect_refused(spm, "0 scores for 2 tokens");
  const auto llama = open(GgufBytes(spm).many<float>(at + "scores", 6, {0, -1}).u32(at + "bos_token_id", 1)).tokenizer;
  EXPECT_EQ(llama.model, "spm");
  EXPECT_EQ(llama.scores, (std::vector<float>{0, -1}));
  EXPECT_TRUE(llama.add_bos && llama.add_space_prefix && !llama.add_eos);
  const auto llama3 = open(gpt2([&](auto& f) { f.text(at + "pre", "llama-bpe").u32(at + "bos_token_id", 0); })).tokenizer;
  EXPECT_TRUE(llama3.add_bos && llama3.ignore_merges && llama3.split == "llama-3");
}

TEST(GgufCheckpoint, StopsAreEndOfTextAndOfTurn) {
  const auto spec = open(tiny_gguf().u32("tokenizer.ggml.eot_token_id", 4).u32("tokenizer.ggml.bos_token_id", 0)).tokenizer;
  EXPECT_EQ(spec.stops, (std::vector<Id>{4, 5}));
  EXPECT_EQ(spec.kinds[5], TokenKind::control);
  EXPECT_EQ(spec.merges, (std::vector<std::pair<std::string, std::string>>{{"a", "b"}, {"ab", "c"}}));
  EXPECT_FALSE(spec.add_bos);
}

// The facts were read from the file with PyPI gguf.
TEST(GgufCheckpoint, TheRealModel) {
  const std::filesystem::path path = LONGVIEW_MODELS "/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not installed; ./run setup fetches it";
  const auto checkpoint = open_checkpoint(path);
  const auto& c = checkpoint.config;
  EXPECT_EQ(c.architecture + " " + c.name + " " + c.storage, "llama SmolLM2-135M-Instruct Q4_1");
  EXPECT_EQ(std::tie(c.layers, c.width, c.heads, c.kv_heads, c.head_width), std::make_tuple(30, 576, 9, 3, 64));
  EXPECT_EQ(std::tie(c.feed_forward, c.vocabulary, c.trained_length, c.sliding_window), std::make_tuple(1536, 49152, 8192, 0));
  EXPECT_EQ(std::tie(c.norm_epsilon, c.rope_base, c.rope_scaling), std::make_tuple(1e-5, 1e5, ""));
  EXPECT_TRUE(c.tied_head && c.interleaved_rotary && !c.qkv_bias && !c.qk_norm);
  EXPECT_EQ(checkpoint.tensors.size(), 272u);
  std::map<std::string_view, int> types;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    ++types[block_name(tensor.type)];
    EXPECT_NO_THROW(check_finite(name, tensor));
  }
  EXPECT_EQ(types, (std::map<std::string_view, int>{{"F32", 61}, {"Q4_1", 210}, {"Q8_0", 1}}));
  const auto& t = checkpoint.tokenizer;
  EXPECT_EQ(t.model + " " + t.split, "bpe smollm");
  EXPECT_EQ(std::make_tuple(t.tokens.size(), t.merges.size(), t.bos, t.eos, t.unk, t.pad),
            std::make_tuple(49152u, 48900u, 1, 2, 0, 2));
  EXPECT_EQ(t.stops, (std::vector<Id>{0, 2}));
  EXPECT_TRUE(!t.add_bos && !t.add_eos && !t.add_space_prefix && !t.nfc);
  EXPECT_TRUE(t.chat_template.starts_with("{% for message in messages %}"));
  EXPECT_EQ(checkpoint.fingerprint, open_checkpoint(path).fingerprint);
}

}  // namespace
}  // namespace longview
