// Tensor names and shapes of the architectures we load.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "longview/checkpoint/checkpoint.h"

namespace longview {

/// llama, mistral, qwen2 and qwen3 (in GGUF a mistral calls itself llama).
const std::vector<std::string>& architectures();

/// "blk.0.attn_q.weight" to "model.layers.0.self_attn.q_proj.weight"; "" for a name GGUF's llama family does not have.
std::string hugging_face_name(std::string_view gguf_name);

/// And back; "" for a name that GGUF does not have.
std::string gguf_name(std::string_view hugging_face_name);

/// "model.position.NAME" and "model.attention.NAME" are what the model's own methods learned; which there are, they know.
inline constexpr std::string_view kPositionValues = "model.position.", kAttentionValues = "model.attention.";
inline bool is_method_value(std::string_view name) {
  return name.starts_with(kPositionValues) || name.starts_with(kAttentionValues);
}

/// NAME of such a tensor; no two methods share one.
inline std::string method_value_name(std::string_view name) { return std::string(name.substr(name.rfind('.') + 1)); }

/// Every tensor a model of these sizes has, with its shape: biases and norms of Q and K, and the head, as the config says.
std::map<std::string, std::vector<int64_t>> needed_tensors(const ModelConfig& config);

/// Sets what the presence of tensors says (qkv_bias, qk_norm, storage), then checks that the sizes make sense together, that every
/// tensor the model needs is there with its shape, that no tensor is left over, and that every token has its row in the embedding.
/// Throws "[checkpoint] <where>: ...".
void check_checkpoint(Checkpoint& checkpoint, const std::string& where);

}  // namespace longview
