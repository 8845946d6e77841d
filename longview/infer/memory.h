// How full a compressive memory is.
#pragma once

#include "longview/flow.h"

namespace longview {

struct MemoryFill {
  int64_t layer = 0;
  double z_mean = 0;    // over heads and features; grows by 1 to 2 a token
  double z_spread = 0;  // standard deviation / mean: 0 when every feature was met equally often
  double norm = 0;      // of M / z_mean: what a query finds, whatever the number of tokens
};

/// Of every layer that has a memory that was written.
std::vector<MemoryFill> memory_fill(const ModelState& state);
/// Of M and z in all layers: what stays as large however long the text. The rest of a state is of the tokens in view.
int64_t memory_bytes(const ModelState& state);

}  // namespace longview
