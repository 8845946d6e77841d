// Which tensors a Llama-like model has, under GGUF's names (gguf-py/gguf/constants.py) and Hugging Face's (modeling_llama.py and
// its kin), and their shapes.
#include "longview/checkpoint/tensor_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "longview/base/check.h"
#include "longview/base/names.h"

namespace longview {
namespace {

using Shape = std::vector<int64_t>;
struct TensorName {
  std::string_view gguf, hugging_face;
};

constexpr TensorName kOuter[] = {{"token_embd.weight", "model.embed_tokens.weight"},
                                 {"output_norm.weight", "model.norm.weight"},
                                 {"output.weight", "lm_head.weight"}};

constexpr TensorName kInLayer[] = {{"attn_norm.weight", "input_layernorm.weight"},
                                   {"attn_q.weight", "self_attn.q_proj.weight"},
                                   {"attn_k.weight", "self_attn.k_proj.weight"},
                                   {"attn_v.weight", "self_attn.v_proj.weight"},
                                   {"attn_q.bias", "self_attn.q_proj.bias"},
                                   {"attn_k.bias", "self_attn.k_proj.bias"},
                                   {"attn_v.bias", "self_attn.v_proj.bias"},
                                   {"attn_q_norm.weight", "self_attn.q_norm.weight"},
                                   {"attn_k_norm.weight", "self_attn.k_norm.weight"},
                                   {"attn_output.weight", "self_attn.o_proj.weight"},
                                   {"ffn_norm.weight", "post_attention_layernorm.weight"},
                                   {"ffn_gate.weight", "mlp.gate_proj.weight"},
                                   {"ffn_up.weight", "mlp.up_proj.weight"},
                                   {"ffn_down.weight", "mlp.down_proj.weight"}};

/// The names and shapes of one layer's tensors, without "model.layers.N.".
std::vector<std::pair<std::string_view, Shape>> layer_tensors(const ModelConfig& c) {
  const int64_t q = c.heads * c.head_width, kv = c.kv_heads * c.head_width;
  std::vector<std::pair<std::string_view, Shape>> out = {{"input_layernorm.weight", {c.width}},
                                                         {"self_attn.q_proj.weight", {q, c.width}},
                                                         {"self_attn.k_proj.weight", {kv, c.width}},
                                                         {"self_attn.v_proj.weight", {kv, c.width}},
                                                         {"self_attn.o_proj.weight", {c.width, q}},
                                                         {"post_attention_layernorm.weight", {c.width}},
                                                         {"mlp.gate_proj.weight", {c.feed_forward, c.width}},
                                                         {"mlp.up_proj.weight", {c.feed_forward, c.width}},
                                                         {"mlp.down_proj.weight", {c.width, c.feed_forward}}};
  if (c.qkv_bias) {
    out.push_back({"self_attn.q_proj.bias", {q}});
    out.push_back({"self_attn.k_proj.bias", {kv}});
    out.push_back({"self_attn.v_proj.bias", {kv}});
  }
  if (!c.memory_gate.empty()) out.push_back({"self_attn.memory_gate", {c.heads}});
  if (c.qk_norm) {
    out.push_back({"self_attn.q_norm.weight", {c.head_width}});
    out.push_back({"self_attn.k_norm.weight", {c.head_width}});
  }
  return out;
}

void check_size(int64_t value, int64_t most, std::string_view what, const std::string& where) {
  LV_CHECK(value >= 1 && value <= most, "[checkpoint] {}: {} must be 1 to {}; got {}", where, what, most, value);
}

// The limits are far above any model and keep every product of two sizes inside 63 bits.
void check_sizes(const ModelConfig& c, const std::string& where) {
  check_size(c.layers, 1 << 12, "the number of layers", where);
  check_size(c.width, 1 << 20, "the width", where);
  check_size(c.heads, 1 << 14, "the number of heads", where);
  check_size(c.kv_heads, 1 << 14, "the number of key-value heads", where);
  check_size(c.head_width, 1 << 14, "the head width", where);
  check_size(c.feed_forward, 1 << 24, "the feed-forward width", where);
  check_size(c.vocabulary, 1 << 28, "the vocabulary", where);
  check_size(c.trained_length, int64_t{1} << 40, "the trained length", where);
  LV_CHECK(c.heads % c.kv_heads == 0, "[checkpoint] {}: {} heads do not divide over {} key-value heads", where, c.heads,
           c.kv_heads);
  LV_CHECK(c.head_width % 2 == 0, "[checkpoint] {}: the head width must be even to be rotated; got {}", where, c.head_width);
  LV_CHECK(c.sliding_window >= 0, "[checkpoint] {}: the sliding window must not be negative; got {}", where, c.sliding_window);
  LV_CHECK(c.rope_base > 1 && c.rope_base < 1e15, "[checkpoint] {}: the rotary base must be above 1; got {}", where, c.rope_base);
  LV_CHECK(c.norm_epsilon >= 0 && c.norm_epsilon < 1, "[checkpoint] {}: the epsilon of the norms must be small; got {}", where,
           c.norm_epsilon);
}

std::string shape_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

void check_tensor(const Checkpoint& checkpoint, const std::string& name, const Shape& shape, const std::string& where) {
  const auto found = checkpoint.tensors.find(name);
  LV_CHECK(found != checkpoint.tensors.end(), "[checkpoint] {}: tensor '{}' is missing", where, name);
  LV_CHECK(found->second.shape == shape, "[checkpoint] {}: tensor '{}' has shape {}; its model needs {}", where, name,
           shape_text(found->second.shape), shape_text(shape));
}

std::string most_used_type(const std::map<std::string, StoredTensor>& tensors) {
  std::map<BlockType, int64_t> weights;
  for (const auto& [name, tensor] : tensors) {
    const auto [values, bytes] = block_shape(tensor.type);
    weights[tensor.type] += static_cast<int64_t>(tensor.bytes.size()) / bytes * values;
  }
  const auto most =
      std::max_element(weights.begin(), weights.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == weights.end() ? "" : std::string(block_name(most->first));
}

/// "blk.3.attn_q.weight", after "blk.", is layer 3 and "attn_q.weight"; layer -1 where it is none.
std::pair<int64_t, std::string_view> in_layer(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return {-1, ""};
  int64_t layer = -1;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), layer);
  const std::string_view rest = name.substr(static_cast<size_t>(end - name.data()));
  if (error != std::errc{} || !rest.starts_with('.')) return {-1, ""};
  return {layer, rest.substr(1)};
}

}  // namespace

const std::vector<std::string>& architectures() {
  static const std::vector<std::string> known = {"llama", "mistral", "qwen2", "qwen3"};
  return known;
}

std::string hugging_face_name(std::string_view name) {
  for (const auto& outer : kOuter)
    if (outer.gguf == name) return std::string(outer.hugging_face);
  const auto [layer, rest] = in_layer(name, "blk.");
  for (const auto& inner : kInLayer)
    if (layer >= 0 && inner.gguf == rest) return fmt::format("model.layers.{}.{}", layer, inner.hugging_face);
  return "";
}

std::string gguf_name(std::string_view name) {
  for (const auto& outer : kOuter)
    if (outer.hugging_face == name) return std::string(outer.gguf);
  const auto [layer, rest] = in_layer(name, "model.layers.");
  for (const auto& inner : kInLayer)
    if (layer >= 0 && inner.hugging_face == rest) return fmt::format("blk.{}.{}", layer, inner.gguf);
  return "";
}

std::map<std::string, std::vector<int64_t>> needed_tensors(const ModelConfig& config) {
  std::map<std::string, Shape> out = {{"model.embed_tokens.weight", {config.vocabulary, config.width}},
                                      {"model.norm.weight", {config.width}}};
  if (!config.tied_head) out["lm_head.weight"] = {config.vocabulary, config.width};
  const auto in_layer = layer_tensors(config);
  for (int64_t layer = 0; layer < config.layers; ++layer)
    for (const auto& [name, shape] : in_layer) out[fmt::format("model.layers.{}.{}", layer, name)] = shape;
  return out;
}

void check_checkpoint(Checkpoint& checkpoint, const std::string& where) {
  auto& config = checkpoint.config;
  check_sizes(config, where);
  const auto has = [&](const char* name) { return checkpoint.tensors.contains(name); };
  config.qkv_bias = has("model.layers.0.self_attn.q_proj.bias");
  config.qk_norm = has("model.layers.0.self_attn.q_norm.weight");
  LV_CHECK(config.qkv_bias || config.architecture != "qwen2", "[checkpoint] {}: qwen2 without the biases of Q, K and V", where);
  LV_CHECK(config.qk_norm || config.architecture != "qwen3", "[checkpoint] {}: qwen3 without the norms of Q and K", where);
  LV_CHECK(static_cast<int64_t>(checkpoint.tokenizer.tokens.size()) <= config.vocabulary,
           "[checkpoint] {}: its tokenizer has {} tokens, its embedding {}", where, checkpoint.tokenizer.tokens.size(),
           config.vocabulary);
  const auto needed = needed_tensors(config);
  for (const auto& [name, shape] : needed) check_tensor(checkpoint, name, shape, where);
  for (const auto& [name, tensor] : checkpoint.tensors)
    LV_CHECK(needed.contains(name) || (name.starts_with(kPositionValues) && !config.position.empty()) ||
                 (name.starts_with(kAttentionValues) && !config.attention.empty()),
             "[checkpoint] {}: tensor '{}' is no part of a {} model with {} layers", where, name, config.architecture,
             config.layers);
  config.storage = most_used_type(checkpoint.tensors);
}

}  // namespace longview
