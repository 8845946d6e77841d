#include "longview/checkpoint/memory_gates.h"

#include <cmath>

#include "longview/base/check.h"

namespace longview {

void add_memory_gates(Checkpoint& checkpoint, const std::string& attention, const std::string& gate, double beta) {
  ModelConfig& config = checkpoint.config;
  LV_CHECK(config.memory_gate.empty(), "[convert] {} has memory gates already ({}); --drop-infini takes them away", config.name,
           config.attention);
  LV_CHECK(gate == "tanh" || gate == "sigmoid", "[convert] --gate must be tanh or sigmoid; got '{}'", gate);
  LV_CHECK(std::isfinite(beta), "[convert] --beta must be a finite number; got {}", beta);
  LV_CHECK(gate != "tanh" || beta >= 0,
           "[convert] --beta must be 0 or more for a tanh gate, whose share of memory is tanh(beta); got {}", beta);
  const auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(config.heads), static_cast<float>(beta));
  const std::span bytes(reinterpret_cast<const uint8_t*>(values->data()), values->size() * sizeof(float));
  for (int64_t layer = 0; layer < config.layers; ++layer)
    checkpoint.tensors[fmt::format("model.layers.{}.self_attn.memory_gate", layer)] = {
        {config.heads}, BlockType::f32, bytes, values};
  config.attention = attention;
  config.memory_gate = gate;
}

void drop_memory_gates(Checkpoint& checkpoint) {
  LV_CHECK(!checkpoint.config.memory_gate.empty(), "[convert] {} has no memory gates to drop", checkpoint.config.name);
  std::erase_if(checkpoint.tensors, [](const auto& tensor) { return tensor.first.ends_with(".self_attn.memory_gate"); });
  checkpoint.config.attention.clear();
  checkpoint.config.memory_gate.clear();
}

}  // namespace longview
