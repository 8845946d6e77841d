// The attention tile: query rows are the lanes, so a row's maximum and sum need no work across lanes, and neither keys nor values
// are transposed.
#pragma once

#include "longview/kernels/isa/lanes.h"
#include "longview/kernels/loops.h"

namespace longview::kernels {
namespace {

void rotate_keys(const HeadKeys& head, int64_t first, int64_t count, float* out) {
  const int64_t M = head.pairs;
  for (int64_t j = first; j < first + count; ++j, out += head.width) {
    const float *k = head.k + j * head.stride_k, *c = head.cos + j * M, *s = head.sin + j * M;
    for (int64_t m = 0; m < M; ++m) {
      out[m] = k[m] * c[m] - k[m + M] * s[m];
      out[m + M] = k[m + M] * c[m] + k[m] * s[m];
    }
    for (int64_t m = 2 * M; m < head.width; ++m) out[m] = k[m];
  }
}

/// scores [keys,64] = K Q
template <int R, int N>
LV_INLINE void score(const AttentionTile& t) {
  in_groups<R>(t.keys, [&]<int Q>(int64_t j) __attribute__((always_inline)) {
    for (int64_t lane = 0; lane < kTileRows; lane += N * W)
      tile<Q, N>(
          t.width, t.k + j * t.width, t.width, 1, t.q + lane, kTileRows, [](int, int) __attribute__((always_inline)) { return fill(0); },
          [&](int r, int n, F sum) __attribute__((always_inline)) { store(t.scores + (j + r) * kTileRows + lane + n * W, sum); });
  });
}

LV_INLINE void hide(const AttentionTile& t, int64_t lane) {
  const I from = lanes<I>(t.from + lane), to = lanes<I>(t.to + lane);
  for (int64_t j = 0; j < t.keys; ++j) {
    const I at = static_cast<int32_t>(t.first + j) - I{};
    float* score = t.scores + j * kTileRows + lane;
    store(score, ((at >= from) & (at < to)) != 0 ? load(score) : fill(-__builtin_inff()));
  }
}

/// Turns scores into weights e^(score - maximum), updates maximum and total; gives what the older sums must be multiplied by.
LV_INLINE F soften(const AttentionTile& t, int64_t lane) {
  const F old = load(t.sums.maximum + lane);
  F maximum = old;
  for (int64_t j = 0; j < t.keys; ++j) maximum = max(maximum, load(t.scores + j * kTileRows + lane));
  const F pivot = maximum == -__builtin_inff() ? fill(0) : maximum;
  F total = fill(0);
  for (int64_t j = 0; j < t.keys; ++j) {
    const F weight = exp(load(t.scores + j * kTileRows + lane) - pivot);
    store(t.scores + j * kTileRows + lane, weight);
    total += weight;
  }
  const F correction = exp(old - pivot);
  store(t.sums.maximum + lane, maximum);
  store(t.sums.total + lane, load(t.sums.total + lane) * correction + total);
  return correction;
}

template <int R, int N>
LV_INLINE void attend_tile(const AttentionTile& t) {
  score<R, N>(t);
  float correction[kTileRows];
  for (int64_t lane = 0; lane < kTileRows; lane += W) {
    if (t.is_masked) hide(t, lane);
    store(correction + lane, soften(t, lane));
  }
  in_groups<R>(t.width, [&]<int Q>(int64_t d) __attribute__((always_inline)) {
    for (int64_t lane = 0; lane < kTileRows; lane += N * W) {
      float* sums = t.sums.values + d * kTileRows + lane;
      tile<Q, N>(
          t.keys, t.v + d, 1, t.stride_v, t.scores + lane, kTileRows,
          [&](int r, int n) __attribute__((always_inline)) { return load(sums + r * kTileRows + n * W) * load(correction + lane + n * W); },
          [&](int r, int n, F sum) __attribute__((always_inline)) { store(sums + r * kTileRows + n * W, sum); });
    }
  });
}

}  // namespace
}  // namespace longview::kernels
