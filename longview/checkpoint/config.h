// What a checkpoint says of its model.
#pragma once

#include <cstdint>
#include <string>

namespace longview {

struct ModelConfig {
  std::string architecture;  // llama, mistral, qwen2 or qwen3
  std::string name;          // for people: "SmolLM2-135M-Instruct"
  std::string storage;       // how most weights are stored: "Q4_1", "F32", ...
  int64_t layers = 0;
  int64_t width = 0;       // E
  int64_t heads = 0;       // H
  int64_t kv_heads = 0;    // G
  int64_t head_width = 0;  // D
  int64_t feed_forward = 0;
  int64_t vocabulary = 0;      // V
  int64_t trained_length = 0;  // tokens
  int64_t sliding_window = 0;  // 0: none
  double norm_epsilon = 1e-5;
  double rope_base = 10000;
  std::string rope_scaling;         // the checkpoint's own, as a position setting: "yarn:factor=4,original=8192"; "" if none
  std::string rope_source;          // the key it was read from: "rope_scaling" of config.json, "llama.rope.scaling.type", ...
  std::string position;             // its own position method where it was trained with another than RoPE: "alibi"; "" for most
  std::string normalized;           // heads of length 1 before the scores: "query", "key" (KeyNorm), "cosine" (both); "": none
  double score_scale = 0;           // of cosine: scores are this times the cosine
  std::string attention;            // its own attention method where it has one: "infini:segment=2048"; "" for most
  std::string memory_gate;          // how its memory's gates g come from what is stored: "sigmoid" or "tanh"; "": it has no memory
  bool tied_head = false;           // the output layer is the embedding
  bool qkv_bias = false;            // Qwen2
  bool qk_norm = false;             // Qwen3: RMS norm on each head of Q and K
  bool interleaved_rotary = false;  // rows of Wq and Wk pair neighbours (GGUF's llama, llama2.c), not halves

  const std::string& own_position() const { return position.empty() ? rope_scaling : position; }
};

}  // namespace longview
