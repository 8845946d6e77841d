// What liblongview_cuda.so offers: launches of our CUDA kernels on raw memory. It links no LibTorch and the program no CUDA: the program
// loads it when it first needs it. Where no strides are given matrices are contiguous, their rows a multiple of 4 wide; streams are
// cudaStream_t.
#pragma once

#include <cstdint>

namespace longview::kernels {

/// Strides, in values, of a tensor [B,G,S,R,N,D] whose last is 1; the others are multiples of 8, and x begins on 16 bytes.
struct Places {
  int64_t batch, group, segment, head, token;
};
struct Rows {
  const void* x;  // bf16
  Places at;
};
struct MutableRows {
  void* x;
  Places at;
};
struct MemorySizes {
  int64_t B, G, S, R, N, D;  // texts, key heads, segments, query heads that share one, tokens, width: 16, 32, 64 or 128
  int64_t late = 0;          // what is written after segment s are the tokens from s N - late on; before the text there are none
};
struct ViewSizes {
  int64_t B, G, S, N, O, M;  // texts, heads, segments, tokens of each and before it (0 to N), pairs of a row: a multiple of 4
};

/// Of Infini-attention's memory with the linear rule and sigma = elu + 1. M [B,G,S+1,D,D] and z [B,G,S+1,D] in f32 are before each segment
/// and after the last; weight [B,S,N] in f32: how often a key is written, null: once; gate [B,G,S,R] in f32.
struct MemoryLaunches {
  /// What each segment adds: M[s + 1] = sum of weight sigma(k)^T v, z[s + 1] = sum of weight sigma(k).
  void (*add)(Rows k, Rows v, const float* weight, float* M, float* z, MemorySizes n, bool is_exact, void* stream);

  /// out = local + gate (sigma(q) M[s] / sigma(q) z[s] - local); nothing is read where z is 0.
  void (*read)(Rows q, Rows local, const float* gate, const float* M, const float* z, MutableRows out, MemorySizes n, bool is_exact,
               void* stream);

  /// From dy, the gradient of out: that of q, local, M[s] and z[s] and, for each row [B,G,S,R,N], the gate.
  void (*read_backward)(Rows dy, Rows q, Rows local, const float* gate, const float* M, const float* z, MutableRows d_q,
                        MutableRows d_local, float* d_gate, float* dM, float* dz, MemorySizes n, void* stream);

  /// From the gradients of M[s + 1] and z[s + 1]: that of k and v.
  void (*add_backward)(Rows k, Rows v, const float* weight, const float* dM, const float* dz, MutableRows d_k, MutableRows d_v,
                       MemorySizes n, void* stream);

  /// x [outer,count,inner] becomes its running sums along count, from the first on or from the last.
  void (*scan)(float* x, int64_t outer, int64_t count, int64_t inner, bool is_back, void* stream);
};

constexpr int64_t kNormParts = 528;       // blocks that each sum up a part of the rows: four on each of 132 multiprocessors
constexpr int64_t kMostNormWidth = 2048;  // of a row whose gradient is fused

/// Of the layers around attention; x is the residual stream in f32, what goes into products is bf16.
struct RowLaunches {
  /// y = x / rms(x) weight in bf16, and inverse = 1 / rms(x) [rows], rms(x) = sqrt(mean(x^2) + epsilon).
  void (*norm)(const float* x, const float* weight, void* y, float* inverse, int64_t rows, int64_t E, float epsilon, void* stream);

  /// dx = passed (where given) + the gradient of x from dy in bf16; parts [kNormParts,E], whose sum is that of the weight.
  void (*norm_backward)(const void* dy, const float* x, const float* weight, const float* inverse, const float* passed, float* dx,
                        float* parts, int64_t rows, int64_t E, void* stream);

  /// out = gate / (1 + e^-gate) up, all bf16.
  void (*gate)(const void* gate, const void* up, void* out, int64_t count, void* stream);
  void (*gate_backward)(const void* dy, const void* gate, const void* up, void* d_gate, void* d_up, int64_t count, void* stream);

  /// x [rows,2M] in bf16: row r rotated by row r / beside % per of cos and sin [per,M], or back.
  void (*rotate)(const void* x, const float* cos, const float* sin, void* out, int64_t rows, int64_t beside, int64_t per, int64_t M,
                 bool is_back, void* stream);

  /// What segments see: x [B,G,S N,2M] -> out [B,S (N + O) - O,G,2M] in bf16, each segment's tokens behind the O before it (the first has
  /// none), rotated by their place in that view, cos and sin [O + N,M], the first segment's from O on; null: as they are. And the gradient of x.
  void (*view)(Rows x, const float* cos, const float* sin, void* out, ViewSizes n, void* stream);
  void (*view_backward)(const void* dy, const float* cos, const float* sin, MutableRows d_x, ViewSizes n, void* stream);

  /// nll = log sum e^logits - logits[target] [rows], right: whether the target is the likeliest [rows]; where gradients are asked for, the
  /// logits [rows,V] in bf16 become share (softmax - one at the target).
  void (*cross_entropy)(void* logits, const int64_t* target, const float* share, float* nll, bool* right, int64_t rows, int64_t V,
                        bool has_gradient, void* stream);
};

const MemoryLaunches& memory_launches();
const RowLaunches& row_launches();

struct CudaLaunches {
  int64_t version;
  MemoryLaunches memory;
  RowLaunches rows;
};

constexpr int64_t kCudaVersion = 4;

}  // namespace longview::kernels

extern "C" const longview::kernels::CudaLaunches* longview_cuda_launches();
