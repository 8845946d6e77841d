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

/// scores [keys,64] = K Q, the lanes [lane, lane + N*W)
template <int R, int N>
LV_INLINE void score(const AttentionTile& t, int64_t lane) {
  in_groups<R>(
      t.keys, [&]<int Q>(int64_t j) __attribute__((always_inline)) {
        tile<Q, N>(
            t.width, t.k + j * t.width, t.width, 1, t.q + lane, kTileRows,
            [](int, int) __attribute__((always_inline)) { return fill(0); },
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

/// The running maximum of the lanes with these scores, and what to subtract: no infinity, so that e^(score - pivot) is a number.
LV_INLINE F largest(const AttentionTile& t, int64_t lane) {
  F maximum = load(t.sums.maximum + lane);
  for (int64_t j = 0; j < t.keys; ++j) maximum = max(maximum, load(t.scores + j * kTileRows + lane));
  return maximum;
}
LV_INLINE F pivot_of(F maximum) { return maximum == -__builtin_inff() ? fill(0) : maximum; }

/// Updates maximum and total; gives what the older sums must be multiplied by.
LV_INLINE F update(const AttentionTile& t, int64_t lane, F maximum, F pivot, F total) {
  const F correction = exp(load(t.sums.maximum + lane) - pivot);
  store(t.sums.maximum + lane, maximum);
  store(t.sums.total + lane, load(t.sums.total + lane) * correction + total);
  return correction;
}

/// Turns scores into weights e^(score - pivot).
LV_INLINE F soften(const AttentionTile& t, int64_t lane) {
  const F maximum = largest(t, lane), pivot = pivot_of(maximum);
  F total = fill(0);
  for (int64_t j = 0; j < t.keys; ++j) {
    const F weight = exp(load(t.scores + j * kTileRows + lane) - pivot);
    store(t.scores + j * kTileRows + lane, weight);
    total += weight;
  }
  return update(t, lane, maximum, pivot, total);
}

/// Adds the values, weighed, to the sums of the lanes [lane, lane + N*W).
template <int R, int N>
LV_INLINE void weigh(const AttentionTile& t, int64_t lane, const F* correction) {
  in_groups<R>(
      t.width, [&]<int Q>(int64_t d) __attribute__((always_inline)) {
        float* sums = t.sums.values + d * kTileRows + lane;
        tile<Q, N>(
            t.keys, t.v + d, 1, t.stride_v, t.scores + lane, kTileRows,
            [&](int r, int n) __attribute__((always_inline)) { return load(sums + r * kTileRows + n * W) * correction[n]; },
            [&](int r, int n, F sum) __attribute__((always_inline)) { store(sums + r * kTileRows + n * W, sum); });
      });
}

template <int R, int N>
LV_INLINE void attend_lanes(const AttentionTile& t, int64_t lane) {
  F correction[N];
  score<R, N>(t, lane);
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n) {
    if (t.is_masked) hide(t, lane + n * W);
    correction[n] = soften(t, lane + n * W);
  }
  weigh<R, N>(t, lane, correction);
}

/// R, N: register tile where there are many rows; kAlone: where one vector holds them all.
template <int R, int N, int kAlone>
LV_INLINE void attend_tile(const AttentionTile& t) {
  int64_t lane = 0;
  for (; t.rows - lane > W; lane += N * W) attend_lanes<R, N>(t, lane);
  if (lane < t.rows) attend_lanes<kAlone, 1>(t, lane);
}

}  // namespace
}  // namespace longview::kernels
