// The gates of a compressive memory, as a checkpoint holds them: "model.layers.N.self_attn.memory_gate", F32 [H], a beta a head.
#pragma once

#include <string>

#include "longview/checkpoint/checkpoint.h"

namespace longview {

/// Gives every layer gates that are all `beta`, and the model the attention method that uses them. A head's output is then
/// g memory + (1 - g) local, with g = tanh(beta) or sigmoid(beta) as `gate` says. Throws where the checkpoint has gates already.
void add_memory_gates(Checkpoint& checkpoint, const std::string& attention, const std::string& gate, double beta);

/// Takes gates and method away again: what is left is the model as it was before it got them, apart from what training changed.
void drop_memory_gates(Checkpoint& checkpoint);

}  // namespace longview
