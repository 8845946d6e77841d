// Random weights under the checkpoint's names.
#include "longview/train/fresh.h"

#include <ATen/CPUGeneratorImpl.h>

#include "longview/base/tensor.h"
#include "longview/checkpoint/tensor_names.h"
#include "longview/text/alphabet.h"
#include "longview/train/own_method.h"

namespace longview {
namespace {

double deviation(const std::string& name, const std::vector<int64_t>& shape, int64_t layers) {
  if (name == "model.embed_tokens.weight") return 0.05;
  if (name == "lm_head.weight") return 0.02;
  const double usual = 0.8 / std::sqrt(static_cast<double>(shape.back()));
  const bool is_output = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
  return is_output ? usual / std::sqrt(2.0 * static_cast<double>(layers)) : usual;
}

ModelConfig config_of(const FreshConfig& c, int64_t vocabulary) {
  LV_CHECK(c.layers >= 1 && c.width >= 1 && c.heads >= 1, "[model] layers, width and heads must be at least 1; got {}, {} and {}",
           c.layers, c.width, c.heads);
  LV_CHECK(c.head_width > 0 || c.width % c.heads == 0, "[model] {} heads do not divide a width of {}; give head_width", c.heads,
           c.width);
  LV_CHECK(c.gate.empty() || c.gate == "sigmoid" || c.gate == "tanh", "[model] gate must be sigmoid or tanh; got '{}'", c.gate);
  LV_CHECK(c.normalize.empty() || c.normalize == "query" || c.normalize == "key" || c.normalize == "cosine",
           "[model] normalize must be query, key or cosine; got '{}'", c.normalize);
  LV_CHECK(c.normalize.empty() || !c.qk_norm, "[model] qk_norm and normalize are two norms of the same heads; take one");
  LV_CHECK(c.score_scale >= 0 && (c.score_scale == 0 || c.normalize == "cosine"),
           "[model] score_scale goes with normalize = cosine and is above 0; got {}", c.score_scale);
  ModelConfig out;
  out.architecture = c.qk_norm ? "qwen3" : c.qkv_bias ? "qwen2" : "llama";
  out.name = "longview", out.storage = "F32";
  out.layers = c.layers, out.width = c.width, out.heads = c.heads;
  out.kv_heads = c.kv_heads > 0 ? c.kv_heads : c.heads;
  out.head_width = c.head_width > 0 ? c.head_width : c.width / c.heads;
  out.feed_forward = c.feed_forward > 0 ? c.feed_forward : (c.width * 8 / 3 + 63) / 64 * 64;
  out.vocabulary = vocabulary, out.trained_length = c.length;
  out.norm_epsilon = c.norm_epsilon, out.rope_base = c.rope_base;
  out.memory_gate = c.gate, out.normalized = c.normalize;
  if (c.normalize == "cosine") {  // kexue.fm/archives/9859
    const bool is_logn = c.position.find("logn=") != std::string::npos;
    const double usual = 4 * std::log(static_cast<double>(c.length) / (is_logn ? 1 : 2));
    out.score_scale = c.score_scale > 0 ? c.score_scale : usual;
  }
  out.tied_head = c.tied_head, out.qk_norm = c.qk_norm, out.qkv_bias = c.qkv_bias;
  return out;
}

}  // namespace

Checkpoint fresh_checkpoint(const FreshConfig& config, const TokenizerSpec& tokenizer, uint64_t seed) {
  Checkpoint out;
  out.config = config_of(config, static_cast<int64_t>(tokenizer.tokens.size()));
  out.tokenizer = tokenizer;
  auto random = at::detail::createCPUGenerator(seed);
  for (const auto& [name, shape] : needed_tensors(out.config)) {
    Tensor value;
    if (name.ends_with(".memory_gate")) value = at::full(shape, config.beta);
    else if (name.ends_with(".bias")) value = at::zeros(shape);
    else if (shape.size() == 1) value = at::ones(shape);
    else value = at::empty(shape).normal_(0, deviation(name, shape, config.layers), random);
    out.tensors[name] = in_memory(value);
  }
  out = with_methods(std::move(out), config.position, config.attention);
  check_checkpoint(out, "a new model");
  return out;
}

TokenizerSpec byte_tokenizer_spec() {
  TokenizerSpec spec;
  spec.model = "bpe", spec.split = "gpt-2";
  for (int byte = 0; byte < 256; ++byte) spec.tokens.push_back(character_of_byte(static_cast<uint8_t>(byte)));
  return spec;
}

}  // namespace longview
