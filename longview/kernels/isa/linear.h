// A weight's panel times rows of x: expanded to f32 once for many rows, in registers for few. The additions over the inputs run in
// their order in both, so a row's result does not depend on how many rows there are.
#pragma once

#include "longview/kernels/isa/lanes.h"
#include "longview/kernels/loops.h"

namespace longview::kernels {
namespace {

/// Lanes [lane, lane+W) of input i. scale and minimum are those of i's group.
template <WeightForm form>
LV_INLINE F value(const PanelProduct& p, int64_t i, int lane, F scale, F minimum) {
  if constexpr (form == WeightForm::real32) return load(reinterpret_cast<const float*>(p.data) + i * kPanel + lane);
  if constexpr (form == WeightForm::real16) return half(reinterpret_cast<const uint16_t*>(p.data) + i * kPanel + lane);
  if constexpr (form == WeightForm::brain16) return brain(reinterpret_cast<const uint16_t*>(p.data) + i * kPanel + lane);
  if constexpr (form == WeightForm::codes8) return real(widen(p.data + i * kPanel + lane)) * scale + minimum;
  const I pair = widen(p.data + i * (kPanel / 2) + lane / 32 * 16 + lane % 16);  // two codes a byte
  return real(lane / 16 % 2 == 0 ? pair & 15 : pair >> 4) * scale + minimum;
}

LV_INLINE F at_group(const PanelProduct& p, const float* values, int64_t g, int lane, float otherwise) {
  return p.group > 0 ? load(values + g * kPanel + lane) : fill(otherwise);
}

/// Panel to f32, N vectors of outputs after the other: [64/(N W),inputs,N W], which a pass over rows reads from its first line to its last.
template <int N, WeightForm form>
LV_INLINE void expand(const PanelProduct& p) {
  const int64_t group = p.group > 0 ? p.group : p.inputs;
  for (int64_t first = 0, g = 0; first < p.inputs; first += group, ++g)
#pragma GCC unroll 16
    for (int lane = 0; lane < kPanel; lane += W) {
      const F scale = at_group(p, p.scales, g, lane, 1), minimum = at_group(p, p.minimums, g, lane, 0);
      for (int64_t i = first; i < first + group; ++i)
        store(p.expanded + (lane / (N * W) * p.inputs + i) * (N * W) + lane % (N * W), value<form>(p, i, lane, scale, minimum));
    }
}

/// N vectors of a row's sums, as many of their lanes as there are outputs.
template <int N>
LV_INLINE void put(const PanelProduct& p, int64_t row, int64_t first, const F* sums) {
  float* y = p.y + row * p.ldy + first;
  const float* bias = p.bias != nullptr ? p.bias + first : nullptr;
  const int64_t exist = p.outputs - first;
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n) {
    if ((n + 1) * W <= exist) store(y + n * W, bias != nullptr ? sums[n] + load(bias + n * W) : sums[n]);
    else
      for (int64_t at = n * W; at < exist; ++at) y[at] = bias != nullptr ? sums[n][at % W] + bias[at] : sums[n][at % W];
  }
}

/// R rows of x times 32 outputs, the weights expanded in registers.
template <int R, WeightForm form, int lane>
LV_INLINE void few_rows(const PanelProduct& p, int64_t row) {
  constexpr int N = kHalfPanel / W;
  const float* x = p.x + row * p.ldx;
  F sum[R][N] = {};
  const int64_t group = p.group > 0 ? p.group : p.inputs;
  for (int64_t first = 0, g = 0; first < p.inputs; first += group, ++g) {
    F scale[N], minimum[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      scale[n] = at_group(p, p.scales, g, lane + n * W, 1);
      minimum[n] = at_group(p, p.minimums, g, lane + n * W, 0);
    }
#pragma GCC unroll 4
    for (int64_t i = first; i < first + group; ++i)
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const F w = value<form>(p, i, lane + n * W, scale[n], minimum[n]);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) sum[r][n] += fill(x[r * p.ldx + i]) * w;
      }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) put<N>(p, row + r, lane, sum[r]);
}

template <int R, int N>
LV_INLINE void many_rows(const PanelProduct& p) {
  for (int64_t lane = 0; lane < kPanel && lane < p.outputs; lane += N * W)
    in_groups<R>(
        p.rows, [&]<int Q>(int64_t row) __attribute__((always_inline)) {
          F sums[Q][N];
          tile<Q, N>(
              p.inputs, p.x + row * p.ldx, p.ldx, 1, p.expanded + lane * p.inputs, N * W,
              [](int, int) __attribute__((always_inline)) { return fill(0); },
              [&](int r, int n, F sum) __attribute__((always_inline)) { sums[r][n] = sum; });
#pragma GCC unroll 16
          for (int r = 0; r < Q; ++r) put<N>(p, row + r, lane, sums[r]);
        });
}

template <int N, WeightForm form>
LV_INLINE void few_or_expand(const PanelProduct& p) {
  constexpr int kFew = 4;
  if (p.half == 0)
    in_groups<kFew>(
        p.rows, [&]<int Q>(int64_t row) __attribute__((always_inline)) { few_rows<Q, form, 0>(p, row); });
  else if (p.half == 1)
    in_groups<kFew>(
        p.rows, [&]<int Q>(int64_t row) __attribute__((always_inline)) { few_rows<Q, form, kHalfPanel>(p, row); });
  else expand<N, form>(p);
}

template <int R, int N>
LV_INLINE void multiply_panel(const PanelProduct& p) {
  switch (p.form) {
    case WeightForm::real32: few_or_expand<N, WeightForm::real32>(p); break;
    case WeightForm::real16: few_or_expand<N, WeightForm::real16>(p); break;
    case WeightForm::brain16: few_or_expand<N, WeightForm::brain16>(p); break;
    case WeightForm::codes8: few_or_expand<N, WeightForm::codes8>(p); break;
    case WeightForm::codes4: few_or_expand<N, WeightForm::codes4>(p); break;
  }
  if (p.half < 0) many_rows<R, N>(p);
}

template <int R, int N>
LV_INLINE void multiply_panels(const PanelProduct* panels, int64_t count) {
  for (int64_t n = 0; n < count; ++n) multiply_panel<R, N>(panels[n]);
}

}  // namespace
}  // namespace longview::kernels
