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
