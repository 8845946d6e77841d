// A few lanes of f32 through the compiler's vector type: one source for AVX-512, AVX2 and anything else. Everything here is
// inlined into functions that carry a target attribute, and only then becomes instructions.
#pragma once

#include <cstdint>
#include <cstring>

namespace longview::simd {

#define LV_INLINE [[gnu::always_inline]] inline

template <int W>
struct Lanes {
  typedef float F __attribute__((vector_size(W * 4)));
  typedef int32_t I __attribute__((vector_size(W * 4)));
  typedef uint8_t B __attribute__((vector_size(W)));

  LV_INLINE static F load(const float* at) {
    F x;
    std::memcpy(&x, at, sizeof x);
    return x;
  }
  LV_INLINE static I load(const int32_t* at) {
    I x;
    std::memcpy(&x, at, sizeof x);
    return x;
  }
  LV_INLINE static B load(const uint8_t* at) {
    B x;
    std::memcpy(&x, at, sizeof x);
    return x;
  }
  LV_INLINE static void store(float* at, F x) { std::memcpy(at, &x, sizeof x); }
  LV_INLINE static F fill(float x) { return x - F{}; }
  LV_INLINE static F max(F a, F b) { return a > b ? a : b; }
  LV_INLINE static F real(B x) { return __builtin_convertvector(__builtin_convertvector(x, I), F); }

  /// e^x to about 1 ulp; 0 below -87.3 (so for -infinity too). x must not be above 88.
  LV_INLINE static F exp(F x) {
    const F magic = fill(12582912.0F);  // 1.5 * 2^23: adding it rounds to a whole number
    const F n = (x * 1.44269504F + magic) - magic;
    F r = x - n * 0.693359375F;
    r = r - n * -2.12194440e-4F;
    F p = fill(1.9875691500e-4F);
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * r * r + r + 1.0F;
    const I exponent = (__builtin_convertvector(n, I) + 127) << 23;
    const F y = p * reinterpret_cast<const F&>(exponent);
    return x < -87.3F ? F{} : y;
  }
};

/// C[R x N*W] = start(r, n) + A[R x K] B[K x N*W], one chain of additions over k in order, so that a row's result does not depend
/// on the rows computed beside it. A's element (r, k) is at a[r * lda + k * stepa], B's row k at b + k * ldb.
template <int W, int R, int N, class Start, class Finish>
LV_INLINE void tile(int64_t K, const float* a, int64_t lda, int64_t stepa, const float* b, int64_t ldb, Start start, Finish finish) {
  using L = Lanes<W>;
  typename L::F sum[R][N];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) sum[r][n] = start(r, n);
  for (int64_t k = 0; k < K; ++k) {
    typename L::F row[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) row[n] = L::load(b + k * ldb + n * W);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename L::F x = L::fill(a[r * lda + k * stepa]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) sum[r][n] += x * row[n];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) finish(r, n, sum[r][n]);
}

/// Calls body.template operator()<R>(first) for row groups of at most R rows that cover [0, rows).
template <int R, class Body>
LV_INLINE void in_groups(int64_t rows, Body body) {
  int64_t at = 0;
  for (; at + R <= rows; at += R) body.template operator()<R>(at);
  if constexpr (R > 1) {
    constexpr int H = R / 2;
    for (; at + H <= rows; at += H) body.template operator()<H>(at);
    if constexpr (H > 1)
      for (; at < rows; ++at) body.template operator()<1>(at);
  }
}

}  // namespace longview::simd
