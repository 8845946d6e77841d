// The compressive memory of one head: its features, what rows read of it, what tokens add to it. Sums run over features and tokens in
// their order, so a row's result does not depend on the rows read beside it.
#pragma once

#include "longview/kernels/isa/lanes.h"
#include "longview/kernels/loops.h"

namespace longview::kernels {
namespace {

void elu1(const float* x, int64_t D, float* out) {
  for (int64_t i = 0; i < D; i += W) {
    const F v = load(x + i);
    store(out + i, v >= 0.0F ? v + 1.0F : exp(v < 0.0F ? v : F{}));
  }
}

/// put(row, column, lanes) for all of C[rows x columns] = A[rows x inner] B[inner x columns], strides as of tile().
template <int R, int N, class Put>
LV_INLINE void product(int64_t rows, int64_t inner, const float* a, int64_t lda, int64_t step, const float* b, int64_t ldb,
                       int64_t columns, Put put) {
  const auto strip = [&]<int C>(int64_t d) __attribute__((always_inline)) {
    in_groups<R>(
        rows, [&]<int Q>(int64_t row) __attribute__((always_inline)) {
          tile<Q, C>(
              inner, a + row * lda, lda, step, b + d, ldb, [](int, int) __attribute__((always_inline)) { return fill(0); },
              [&](int r, int n, F sum) __attribute__((always_inline)) { put(row + r, d + n * W, sum); });
        });
  };
  int64_t d = 0;
  for (; d + N * W <= columns; d += N * W) strip.template operator()<N>(d);
  for (; d < columns; d += W) strip.template operator()<1>(d);
}

/// count: a multiple of 16.
LV_INLINE float dot(const float* x, const float* y, int64_t count) {
  F sums = {};
  for (int64_t i = 0; i < count; i += W) sums += load(x + i) * load(y + i);
  return sum_of(sums);
}

template <int R, int N>
LV_INLINE void read_memory(const MemoryRead& p) {
  float inverse[kMemoryRows];
  for (int64_t r = 0; r < p.rows; ++r) {
    const float weight = dot(p.features + r * p.width, p.z, p.width);
    inverse[r] = weight > 0 ? 1 / weight : 0;
  }
  product<R, N>(
      p.rows, p.width, p.numerator, p.width, 1, p.M, p.columns,
      p.columns, [&](int64_t r, int64_t d, F sum) __attribute__((always_inline)) {
        const int64_t at = r * p.stride + d;
        F read = sum * inverse[r];
        if (p.local != nullptr) read = load(p.local + at) + p.gate * (read - load(p.local + at));
        store(p.out + at, read);
      });
}

template <int R, int N>
LV_INLINE void write_memory(const MemoryWrite& p) {
  product<R, N>(
      p.width, p.tokens, p.features, 1, p.width, p.v, p.stride,
      p.columns, [&](int64_t f, int64_t d, F sum) __attribute__((always_inline)) {
        float* to = p.M + f * p.columns + d;
        store(to, load(to) + sum);
      });
  for (int64_t f = 0; f < p.width; f += W) {
    F sum = {};
    for (int64_t t = 0; t < p.tokens; ++t) sum += load(p.features + t * p.width + f) * (p.fresh != nullptr ? p.fresh[t] : 1.0F);
    store(p.z + f, load(p.z + f) + sum);
  }
}

}  // namespace
}  // namespace longview::kernels
