// A checkpoint that is to be trained with other methods than it was made for.
#pragma once

#include "longview/checkpoint/checkpoint.h"

namespace longview {

/// The checkpoint with this position and this attention as its own ("": as they were), and what they learn as it begins. Positions that
/// transformers knows go to rope_scaling. Throws on settings that make no sense for the model.
Checkpoint with_methods(Checkpoint checkpoint, const std::string& position, const std::string& attention);

}  // namespace longview
