// Matrix tiles (Intel AMX): C += A B on tiles of 16 x 32 bf16, at f32 accuracy. An f32 is the sum of three bf16 (8 bits each), and
// of the nine products the six largest are summed: what is left out is below the rounding of f32 (Henry, Tang, Heinecke,
// arXiv:1904.06376). The five small products are summed on their own before the large one, so that C is rounded as often as in f32.
// The instructions are written out: GCC 12's intrinsics hide the memory they read from the compiler.
#pragma once

#include "longview/kernels/isa/linear.h"

namespace longview::kernels {
namespace {

constexpr int kSide = 16;   // rows of a tile
constexpr int kDepth = 32;  // inputs of a tile
constexpr int kParts = 3;   // bf16 that make an f32

/// 16 rows of 32 (the left operand), or 16 pairs of inputs times 16 outputs (the right one).
struct alignas(64) Tile {
  uint16_t at[kSide * kDepth];
};
/// An operand is an array [blocks of 16 rows or outputs][blocks of 32 inputs][3 parts] of tiles, padded with zeros.
LV_INLINE int64_t depth_of(int64_t inputs) { return (inputs + kDepth - 1) / kDepth; }

struct Shape {
  uint8_t palette = 1, start = 0, unused[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
struct TilesInUse {  // of this thread, while one lives
  TilesInUse() {
    static constexpr Shape kShape;
    asm volatile("ldtilecfg %0" ::"m"(kShape));
  }
  ~TilesInUse() { asm volatile("tilerelease"); }
  TilesInUse(const TilesInUse&) = delete;
  TilesInUse& operator=(const TilesInUse&) = delete;
};

template <int T>
LV_INLINE void clear_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(T));
}
template <int T>
LV_INLINE void load_tile(const Tile& tile) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(&tile), "r"(int64_t{64}), "i"(T) : "memory");
}
template <int T>
LV_INLINE void store_tile(float* at, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(at), "r"(stride * 4), "i"(T) : "memory");
}
template <int C, int A, int B>
LV_INLINE void multiply_tile() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}

// Tiles 0-3 are C, 4-5 the two row blocks of A, 6-7 the two output blocks of B.
template <int R>
LV_INLINE void load_left(const Tile* a, int64_t stride) {
  load_tile<4>(a[0]);
  if constexpr (R == 2) load_tile<5>(a[stride]);
}
LV_INLINE void load_right(const Tile* b, int64_t stride) {
  load_tile<6>(b[0]);
  load_tile<7>(b[stride]);
}
template <int R>
LV_INLINE void multiply_loaded() {
  multiply_tile<0, 4, 6>();
  multiply_tile<1, 4, 7>();
  if constexpr (R == 2) {
    multiply_tile<2, 5, 6>();
    multiply_tile<3, 5, 7>();
  }
}

/// C [16 R, 32] at c = A B over `depth` blocks of inputs; strides in tiles from one block of 16 to the next.
template <int R>
LV_INLINE void multiply_tiles(const Tile* a, int64_t stride_a, const Tile* b, int64_t stride_b, int64_t depth, float* c,
                              int64_t ldc) {
  clear_tile<0>(), clear_tile<1>();
  if constexpr (R == 2) clear_tile<2>(), clear_tile<3>();
  for (int64_t k = 0; k < depth * kParts; k += kParts) {
    load_left<R>(a + k + 2, stride_a), load_right(b + k, stride_b), multiply_loaded<R>();
    load_left<R>(a + k + 1, stride_a), multiply_loaded<R>();
    load_right(b + k + 1, stride_b), multiply_loaded<R>();
    load_left<R>(a + k, stride_a), multiply_loaded<R>();
    load_right(b + k + 2, stride_b), multiply_loaded<R>();
  }
  for (int64_t k = 0; k < depth * kParts; k += kParts)
    load_left<R>(a + k, stride_a), load_right(b + k, stride_b), multiply_loaded<R>();
  store_tile<0>(c, ldc), store_tile<1>(c + kSide, ldc);
  if constexpr (R == 2) store_tile<2>(c + kSide * ldc, ldc), store_tile<3>(c + kSide * ldc + kSide, ldc);
}

/// x as the sum of three bf16, each in the upper half of its lane.
struct Parts {
  F part[kParts];
};
LV_INLINE Parts split(F x) {
  const auto rounded = [](F y) __attribute__((always_inline)) { return bits((reinterpret_cast<I>(y) + 0x8000) & ~0xFFFF); };
  const F high = rounded(x), rest = x - high, middle = rounded(rest);
  return {{high, middle, rest - middle}};
}
/// 32 bf16: lane by lane the one of a and the one of b (pairs), or all of a, then all of b (row).
LV_INLINE void store_pairs(uint16_t* at, F a, F b) {
  const I both = (reinterpret_cast<I>(b) & ~0xFFFF) | reinterpret_cast<I>(_mm512_srli_epi32(reinterpret_cast<__m512i>(a), 16));
  std::memcpy(at, &both, sizeof both);
}
LV_INLINE void store_row(uint16_t* at, F a, F b) {
  const __m512bh both = _mm512_cvtne2ps_pbh(b, a);
  std::memcpy(at, &both, sizeof both);
}

LV_INLINE F load_some(const float* at, int64_t count) {
  return count >= W ? load(at) : count <= 0 ? F{} : _mm512_maskz_loadu_ps(static_cast<__mmask16>((1 << count) - 1), at);
}

/// Rows of x [rows, inputs] as a left operand.
void pack_rows(const float* x, int64_t rows, int64_t inputs, int64_t ldx, void* out) {
  const int64_t depth = depth_of(inputs), padded = (rows + kSide - 1) / kSide * kSide;
  for (int64_t row = 0; row < padded; ++row)
    for (int64_t k = 0; k < depth; ++k) {
      Tile* tiles = static_cast<Tile*>(out) + (row / kSide * depth + k) * kParts;
      const float* from = x + row * ldx + k * kDepth;
      const int64_t there = row < rows ? inputs - k * kDepth : 0;
      const Parts a = split(load_some(from, there)), b = split(load_some(from + W, there - W));
      for (int part = 0; part < kParts; ++part) store_row(tiles[part].at + row % kSide * kDepth, a.part[part], b.part[part]);
    }
}

/// x[w][v] becomes x[v][w].
LV_INLINE void transpose(F* x) {
  __m512 a[W], b[W];
#pragma GCC unroll 16
  for (int n = 0; n < W; n += 2) a[n] = _mm512_unpacklo_ps(x[n], x[n + 1]), a[n + 1] = _mm512_unpackhi_ps(x[n], x[n + 1]);
#pragma GCC unroll 4
  for (int n = 0; n < W; n += 4) {  // b[n + c]: column c of each 128-bit lane, rows n to n + 3
    b[n] = _mm512_shuffle_ps(a[n], a[n + 2], 0x44), b[n + 1] = _mm512_shuffle_ps(a[n], a[n + 2], 0xEE);
    b[n + 2] = _mm512_shuffle_ps(a[n + 1], a[n + 3], 0x44), b[n + 3] = _mm512_shuffle_ps(a[n + 1], a[n + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 even_low = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x88), odd_low = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xDD),
                 even_high = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x88),
                 odd_high = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xDD);
    x[c] = _mm512_shuffle_f32x4(even_low, even_high, 0x88), x[8 + c] = _mm512_shuffle_f32x4(even_low, even_high, 0xDD);
    x[4 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88), x[12 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xDD);
  }
}

/// Rows of v, keys [begin, end) of a tile of 64, as a left operand whose rows are the columns of v.
void pack_transposed(const float* v, int64_t begin, int64_t end, int64_t width, int64_t ldv, void* out) {
  constexpr int64_t kDepthOfKeys = kTileKeys / kDepth;
  for (int64_t d = 0; d < width; d += kSide)
    for (int64_t k = 0; k < kDepthOfKeys; ++k) {
      Tile* tiles = static_cast<Tile*>(out) + (d / kSide * kDepthOfKeys + k) * kParts;
      F x[2][W];
      for (int half = 0; half < 2; ++half) {
        for (int n = 0; n < W; ++n) {
          const int64_t key = k * kDepth + half * W + n;
          x[half][n] = key >= begin && key < end ? load_some(v + (key - begin) * ldv + d, width - d) : F{};
        }
        transpose(x[half]);
      }
      for (int n = 0; n < W; ++n) {
        const Parts a = split(x[0][n]), b = split(x[1][n]);
        for (int part = 0; part < kParts; ++part) store_row(tiles[part].at + n * kDepth, a.part[part], b.part[part]);
      }
    }
}

/// Inputs [begin, end) of a weight's panel as a right operand; begin is a multiple of 32.
template <WeightForm form>
LV_INLINE void expand_tiles(const PanelProduct& p, int64_t begin, int64_t end, Tile* tiles) {
  const int64_t depth = depth_of(end - begin), group = p.group > 0 ? p.group : kDepth;
  if ((end - begin) % kDepth != 0)
    for (int n = 0; n < kPanel / kSide; ++n) std::memset(tiles + (n * depth + depth - 1) * kParts, 0, kParts * sizeof(Tile));
#pragma GCC unroll 4
  for (int n = 0; n < kPanel / kSide; ++n)
    for (int64_t first = begin; first < end; first = (first / group + 1) * group) {
      const F scale = at_group(p, p.scales, first / group, n * W, 1), minimum = at_group(p, p.minimums, first / group, n * W, 0);
      const int64_t last = (first / group + 1) * group < end ? (first / group + 1) * group : end;
      for (int64_t i = first; i < last; i += 2) {
        const Parts a = split(value<form>(p, i, n * W, scale, minimum)),
                    b = i + 1 < last ? split(value<form>(p, i + 1, n * W, scale, minimum)) : Parts{};
        const int64_t at = i - begin;
        Tile* out = tiles + (n * depth + at / kDepth) * kParts;
        for (int part = 0; part < kParts; ++part) store_pairs(out[part].at + at % kDepth / 2 * kDepth, a.part[part], b.part[part]);
      }
    }
}

void pack_columns(const float* panel, int64_t inputs, void* out) {
  PanelProduct p{};
  p.data = reinterpret_cast<const uint8_t*>(panel);
  expand_tiles<WeightForm::real32>(p, 0, inputs, static_cast<Tile*>(out));
}

LV_INLINE void expand_piece(const PanelProduct& p, int64_t begin, int64_t end, Tile* tiles) {
  switch (p.form) {
    case WeightForm::real32: return expand_tiles<WeightForm::real32>(p, begin, end, tiles);
    case WeightForm::real16: return expand_tiles<WeightForm::real16>(p, begin, end, tiles);
    case WeightForm::brain16: return expand_tiles<WeightForm::brain16>(p, begin, end, tiles);
    case WeightForm::codes8: return expand_tiles<WeightForm::codes8>(p, begin, end, tiles);
    case WeightForm::codes4: return expand_tiles<WeightForm::codes4>(p, begin, end, tiles);
  }
}

/// R blocks of 16 rows times 32 outputs over one piece of the inputs; pieces add up in y.
template <int R>
LV_INLINE void multiply_rows(const PanelProduct& p, int64_t row, int64_t lane, int64_t begin, int64_t depth, const Tile* right) {
  const int64_t stride = depth_of(p.inputs) * kParts;
  const Tile* left = static_cast<const Tile*>(p.x_tiles) + row / kSide * stride + begin / kDepth * kParts;
  alignas(64) float sums[R * kSide * kHalfPanel];
  multiply_tiles<R>(left, stride, right + lane / kSide * depth * kParts, depth * kParts, depth, sums, kHalfPanel);
  const int64_t exist = p.outputs - lane < kHalfPanel ? p.outputs - lane : kHalfPanel;
  for (int64_t r = 0; r < R * kSide && row + r < p.rows; ++r) {
    float *y = p.y + (row + r) * p.ldy + lane, *sum = sums + r * kHalfPanel;
    if (begin > 0) {
      for (int64_t n = 0; n < exist; ++n) y[n] += sum[n];
    } else {
      const F vectors[]{load(sum), load(sum + W)};
      put<kHalfPanel / W>(p, row + r, lane, vectors);
    }
  }
}

/// Panels side by side, in pieces of the inputs that fit into the second cache while all rows pass.
LV_INLINE void multiply_panels_tiles(const PanelProduct* panels, int64_t count) {
  constexpr int64_t kMost = kPieceInputs / kDepth;
  const int64_t inputs = panels[0].inputs, rows = panels[0].rows, depth = depth_of(inputs), pieces = (depth + kMost - 1) / kMost,
                each = (depth + pieces - 1) / pieces * kDepth;
  auto* tiles = reinterpret_cast<Tile*>(panels[0].expanded);
  for (int64_t begin = 0; begin < inputs; begin += each) {
    const int64_t end = begin + each < inputs ? begin + each : inputs, size = depth_of(end - begin) * kParts * kPanel / kSide;
    for (int64_t n = 0; n < count; ++n) expand_piece(panels[n], begin, end, tiles + n * size);
    const TilesInUse in_use;
    for (int64_t row = 0; row < rows; row += 2 * kSide)
      for (int64_t n = 0; n < count; ++n)
        for (int64_t lane = 0; lane < kPanel && lane < panels[n].outputs; lane += kHalfPanel) {
          if (rows - row > kSide) multiply_rows<2>(panels[n], row, lane, begin, depth_of(end - begin), tiles + n * size);
          else multiply_rows<1>(panels[n], row, lane, begin, depth_of(end - begin), tiles + n * size);
        }
  }
}

/// Weights of the lanes [lane, lane + W) from their scores, as blocks of a right operand; gives the correction of the older sums.
LV_INLINE F soften_tiles(const AttentionTile& t, int64_t lane, Tile* weights) {
  const F maximum = largest(t, lane), pivot = pivot_of(maximum);
  F total = fill(0);
  const int64_t padded = depth_of(t.keys) * kDepth;
  for (int64_t j = 0; j < padded; j += 2) {
    const F a = j < t.keys ? exp(load(t.scores + j * kTileRows + lane) - pivot) : fill(0),
            b = j + 1 < t.keys ? exp(load(t.scores + (j + 1) * kTileRows + lane) - pivot) : fill(0);
    total += a;
    total += b;
    const Parts left = split(a), right = split(b);
    for (int part = 0; part < kParts; ++part)
      store_pairs(weights[j / kDepth * kParts + part].at + j % kDepth / 2 * kDepth, left.part[part], right.part[part]);
  }
  return update(t, lane, maximum, pivot, total);
}

LV_INLINE void attend_tiles(const AttentionTile& t) {
  constexpr int64_t kDepthOfKeys = kTileKeys / kDepth, kBlocks = kTileRows / kSide;
  const auto *q = static_cast<const Tile*>(t.q_tiles), *k = static_cast<const Tile*>(t.k_tiles),
             *v = static_cast<const Tile*>(t.v_tiles);
  const int64_t stride = depth_of(t.width) * kParts, stride_v = kDepthOfKeys * kParts,
                pairs = (t.rows + kHalfPanel - 1) / kHalfPanel;
  const TilesInUse tiles;
  for (int64_t key = 0; key < t.keys; key += 2 * kSide)
    for (int64_t pair = 0; pair < pairs; ++pair)
      multiply_tiles<2>(k + key / kSide * stride, stride, q + 2 * pair * stride, stride, depth_of(t.width),
                        t.scores + key * kTileRows + pair * kHalfPanel, kTileRows);
  Tile weights[kBlocks * kDepthOfKeys * kParts];
  F correction[kBlocks];
  for (int64_t n = 0; n < 2 * pairs; ++n) {
    if (t.is_masked) hide(t, n * W);
    correction[n] = soften_tiles(t, n * W, weights + n * stride_v);
  }
  for (int64_t d = 0; d < t.width; d += 2 * kSide)  // the scores have served: their place takes the values [width,64] of this tile
    for (int64_t pair = 0; pair < pairs; ++pair) {
      const Tile *a = v + d / kSide * stride_v, *b = weights + 2 * pair * stride_v;
      float* part = t.scores + d * kTileRows + pair * kHalfPanel;
      if (t.width - d > kSide) multiply_tiles<2>(a, stride_v, b, stride_v, depth_of(t.keys), part, kTileRows);
      else multiply_tiles<1>(a, stride_v, b, stride_v, depth_of(t.keys), part, kTileRows);
    }
  for (int64_t n = 0; n < 2 * pairs; ++n)
    for (int64_t at = n * W; at < t.width * kTileRows; at += kTileRows)
      store(t.sums.values + at, load(t.sums.values + at) * correction[n] + load(t.scores + at));
}

}  // namespace
}  // namespace longview::kernels
