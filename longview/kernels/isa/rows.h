// Row-wise loops: RMS norm, SwiGLU's gate, log-sum-exp.
#pragma once

#include <cmath>

#include "longview/kernels/isa/lanes.h"
#include "longview/kernels/loops.h"

namespace longview::kernels {
namespace {

void norm_row(const float* x, const float* weight, int64_t E, float epsilon, float* out) {
  F squares = {};
  int64_t e = 0;
  for (; e + W <= E; e += W) squares += load(x + e) * load(x + e);
  float sum = sum_of(squares);
  for (; e < E; ++e) sum += x[e] * x[e];
  const float factor = 1 / __builtin_sqrtf(sum / static_cast<float>(E) + epsilon);
  for (e = 0; e < E; ++e) out[e] = x[e] * factor * weight[e];
}

void gate_row(float* gate, const float* up, int64_t width) {
  constexpr float kMost = 80;  // e^80 is finite, and g / (1 + e^80) is 0 as it should be
  int64_t f = 0;
  for (; f + W <= width; f += W) {
    const F g = load(gate + f);
    store(gate + f, g / (1.0F + exp(-g < kMost ? -g : fill(kMost))) * load(up + f));
  }
  for (; f < width; ++f) gate[f] = gate[f] / (1 + __builtin_expf(-gate[f] < kMost ? -gate[f] : kMost)) * up[f];
}

double log_sum_exp(const float* x, int64_t V) {
  float maximum = x[0];
  for (int64_t v = 1; v < V; ++v) maximum = x[v] > maximum ? x[v] : maximum;
  constexpr int64_t kBlock = 1024;  // partial sums in f32, their sum in f64
  double sum = 0;
  int64_t v = 0;
  while (v + W <= V) {
    F part = {};
    const int64_t end = v + kBlock < V ? v + kBlock : V;
    for (; v + W <= end; v += W) part += exp(load(x + v) - maximum);
    sum += static_cast<double>(sum_of(part));
  }
  for (; v < V; ++v) sum += static_cast<double>(__builtin_expf(x[v] - maximum));
  return static_cast<double>(maximum) + __builtin_log(sum);
}

}  // namespace
}  // namespace longview::kernels
