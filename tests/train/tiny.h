// Small models to train and batches to train them on.
#pragma once

#include <gtest/gtest.h>

#include "longview/train/fresh.h"
#include "longview/train/trainer.h"

namespace longview::testing {

inline FreshConfig small_model(const std::string& attention = "infini:segment=16") {
  FreshConfig config;
  config.layers = 2, config.width = 32, config.heads = 2, config.length = 256, config.attention = attention;
  if (attention.starts_with("infini") || attention.starts_with("memorizing")) config.gate = "sigmoid";
  return config;
}

/// Bytes that follow a rule with some noise, [B,T]; the same for the same number.
inline Batch some_batch(int64_t number, int64_t B = 2, int64_t T = 64) {
  std::vector<int64_t> ids;
  uint64_t x = static_cast<uint64_t>(number) * 0x9E3779B97F4A7C15ULL + 1;
  for (int64_t i = 0; i < B * (T + 1); ++i) {
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    ids.push_back(i % (T + 1) < 2 || (x >> 60) == 0 ? static_cast<int64_t>((x >> 33) % 64) : (ids.back() * 5 + 3) % 64);
  }
  const Tensor all = at::tensor(ids, at::kLong).view({B, T + 1});
  Batch batch;
  batch.ids = all.narrow(1, 0, T).contiguous(), batch.targets = all.narrow(1, 1, T).contiguous();
  return batch;
}

}  // namespace longview::testing
