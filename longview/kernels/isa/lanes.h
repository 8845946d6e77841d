// W lanes of f32 through the compiler's vector type. Included only by the files of this folder, each of which sets LV_WIDTH and is
// compiled for its instruction set; everything lives in an unnamed namespace, so that no two of them share a symbol.
#pragma once

#if LV_WIDTH > 4
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

namespace longview::kernels {
namespace {

#define LV_INLINE [[gnu::always_inline]] inline

constexpr int W = LV_WIDTH;
typedef float F __attribute__((vector_size(LV_WIDTH * 4)));
typedef int32_t I __attribute__((vector_size(LV_WIDTH * 4)));

template <class Lanes, class Value>
LV_INLINE Lanes lanes(const Value* at) {
  Lanes x;
  std::memcpy(&x, at, sizeof x);
  return x;
}
LV_INLINE F load(const float* at) { return lanes<F>(at); }
LV_INLINE void store(float* at, F x) { std::memcpy(at, &x, sizeof x); }
LV_INLINE F fill(float x) { return x - F{}; }
LV_INLINE F max(F a, F b) { return a > b ? a : b; }
LV_INLINE F bits(I x) { return reinterpret_cast<F>(x); }
LV_INLINE F real(I x) { return __builtin_convertvector(x, F); }

// Widening by hand where the instruction set has it: GCC 12 takes the vector apart for these.
#if LV_WIDTH == 16
LV_INLINE I widen(const uint8_t* at) {
  return reinterpret_cast<I>(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
}
LV_INLINE I widen(const uint16_t* at) {
  return reinterpret_cast<I>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))));
}
LV_INLINE F half(const uint16_t* at) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))); }
#elif LV_WIDTH == 8
LV_INLINE I widen(const uint8_t* at) {
  return reinterpret_cast<I>(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at))));
}
LV_INLINE I widen(const uint16_t* at) {
  return reinterpret_cast<I>(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
}
LV_INLINE F half(const uint16_t* at) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))); }
#else
LV_INLINE I widen(const uint8_t* at) { return I{at[0], at[1], at[2], at[3]}; }
LV_INLINE I widen(const uint16_t* at) { return I{at[0], at[1], at[2], at[3]}; }
LV_INLINE F half(const uint16_t* at) {
  typedef _Float16 H __attribute__((vector_size(8)));
  return __builtin_convertvector(lanes<H>(at), F);
}
#endif
LV_INLINE F brain(const uint16_t* at) { return bits(widen(at) << 16); }

LV_INLINE float sum_of(F x) {
  float out = 0;
  for (int w = 0; w < W; ++w) out += x[w];
  return out;
}

/// e^x to about 1 ulp; 0 below -70 (so for -infinity too), where its smallest bits would leave the normal numbers: those are slow
/// and what they would add to a sum is lost. x must not be above 88.
LV_INLINE F exp(F x) {
#if LV_WIDTH == 16
  const F n = _mm512_roundscale_ps(x * 1.44269504F, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const F magic = fill(12582912.0F);  // 1.5 * 2^23: adding it rounds to a whole number
  const F n = (x * 1.44269504F + magic) - magic;
#endif
  F r = x - n * 0.693359375F;
  r = r - n * -2.12194440e-4F;
  F p = fill(1.9875691500e-4F);
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
#if LV_WIDTH == 16
  return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, fill(-70), _CMP_GE_OQ), p, n);
#else
  const F y = p * bits((__builtin_convertvector(n, I) + 127) << 23);
  return x < -70.0F ? F{} : y;
#endif
}

/// C[R x N*W] = start(r, n) + A[R x K] B[K x N*W], one chain of additions over k in order, so that a row's result does not depend
/// on the rows computed beside it. A's element (r, k) is at a[r * lda + k * step], B's row k at b + k * ldb.
template <int R, int N, class Start, class Finish>
LV_INLINE void tile(int64_t K, const float* a, int64_t lda, int64_t step, const float* b, int64_t ldb, Start start, Finish finish) {
  F sum[R][N];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) sum[r][n] = start(r, n);
  for (int64_t k = 0; k < K; ++k) {
    F row[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) row[n] = load(b + k * ldb + n * W);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const F x = fill(a[r * lda + k * step]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) sum[r][n] += x * row[n];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) finish(r, n, sum[r][n]);
}

/// Calls body.operator()<R>(first) for groups of at most R rows that cover [0, rows).
template <int R, class Body>
LV_INLINE void in_groups(int64_t rows, Body body) {
  int64_t at = 0;
  for (; at + R <= rows; at += R) body.template operator()<R>(at);
  if constexpr (R > 1) {
    constexpr int kHalf = R / 2;
    for (; at + kHalf <= rows; at += kHalf) body.template operator()<kHalf>(at);
    if constexpr (kHalf > 1)
      for (; at < rows; ++at) body.template operator()<1>(at);
  }
}

}  // namespace
}  // namespace longview::kernels
