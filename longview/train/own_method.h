// A checkpoint that is to be trained with other methods than it was made for.
#pragma once

#include "longview/base/tensor.h"
#include "longview/checkpoint/checkpoint.h"

namespace longview {

/// The checkpoint with this position and this attention as its own ("": as they were), and what they learn as it begins. Positions that
/// transformers knows go to rope_scaling. Throws on settings that make no sense for the model.
Checkpoint with_methods(Checkpoint checkpoint, const std::string& position, const std::string& attention);

/// Adapters of this rank beside every matrix whose name has one of these parts: A drawn as PEFT does, always the same, B 0.
void add_adapters(Checkpoint& checkpoint, int64_t rank, const std::vector<std::string>& targets);

/// A tensor f32 on the CPU as a checkpoint holds it.
StoredTensor in_memory(const Tensor& values);

}  // namespace longview
