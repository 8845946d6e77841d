// Low-rank adapters (LoRA, arXiv:2106.09685): W' = W + alpha / r B A, A [r,I], B [O,r]; as the folder that PEFT reads and writes,
// adapter_config.json and adapter_model.safetensors.
#pragma once

#include "longview/checkpoint/checkpoint.h"

namespace longview {

/// "model.layers.0.self_attn.q_proj.weight" -> its A or B, "model.layers.0.self_attn.q_proj.lora_A.weight"; and whether a name is one.
std::string adapter_a(const std::string& weight);
std::string adapter_b(const std::string& weight);
bool is_adapter(const std::string& name);

struct Adapter {
  double alpha = 0;
  std::string base;                              // name of the model it was made for, for people
  std::string position, attention, memory_gate;  // methods that it gives the model; "": the model's own
  std::map<std::string, StoredTensor> tensors;   // A and B of weights, rotary pairs as halves; and others that replace the model's
};

/// Whether a folder holds an adapter, and no model beside it.
bool is_adapter_folder(const std::filesystem::path& folder);
/// Throws "[adapter] ..." on a folder that is none, on kinds of adapters that are not LoRA, and on shapes that do not go together.
Adapter read_adapter(const std::filesystem::path& folder);
void write_adapter(const std::filesystem::path& folder, const Adapter& adapter);

/// Its A and B as f32, bf16 or f16. What replaces the model's (gates, what a method learned) stays as it is: few, and small steps matter.
Adapter stored_as(const Adapter& adapter, BlockType type);

/// The model with the adapter in its weights, which are f32 where it has one. Its fingerprint is another than the model's. Throws where
/// the adapter is not for such a model.
Checkpoint merged(const Checkpoint& checkpoint, const Adapter& adapter);

}  // namespace longview
