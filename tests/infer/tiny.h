// A tiny model to read and generate with.
#pragma once

#include <gtest/gtest.h>

#include <random>

#include "longview/infer/session.h"

namespace longview::testing {

inline const Checkpoint& tiny_checkpoint() {
  static const Checkpoint checkpoint = open_checkpoint(LONGVIEW_GOLDEN "/models/llama");
  return checkpoint;
}

inline const Transformer& tiny_model() {
  static const Transformer model(tiny_checkpoint());
  return model;
}

/// The tiny model with the gates of a memory: g = tanh(beta) in every head, segments of 32 tokens where nothing else is asked for.
inline Checkpoint gated_checkpoint(double beta) {
  Checkpoint out = tiny_checkpoint();
  out.config.memory_gate = "tanh", out.config.attention = "infini:segment=32";
  const auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(out.config.heads), static_cast<float>(beta));
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(values->data()), values->size() * sizeof(float));
  for (int64_t layer = 0; layer < out.config.layers; ++layer)
    out.tensors[fmt::format("model.layers.{}.self_attn.memory_gate", layer)] = {{out.config.heads}, BlockType::f32, bytes, values};
  return out;
}

/// With half open gates; with other attention it is the tiny model to the bit.
inline const Transformer& gated_model() {
  static const Transformer model(gated_checkpoint(0.5));
  return model;
}

/// Ids of the tiny model's vocabulary, repeating themselves now and then as texts do.
inline std::vector<Id> some_ids(size_t count, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::vector<Id> out;
  while (out.size() < count)
    out.push_back(out.size() > 20 && random() % 2 == 0 ? out[out.size() - 17] : static_cast<Id>(random() % 320));
  return out;
}

inline Tensor as_tensor(std::span<const Id> ids) {
  return at::tensor(std::vector<int64_t>(ids.begin(), ids.end()), at::kLong).unsqueeze(0);  // [1,T]
}

}  // namespace longview::testing
