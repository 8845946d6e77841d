// What liblongview_cuda.so offers: launches of our CUDA kernels on raw memory. It links no LibTorch and the program no CUDA: the program
// loads it when it first needs it. All matrices are contiguous, their rows a multiple of 4 wide; streams are cudaStream_t.
#pragma once

#include <cstdint>

namespace longview::kernels {

/// Of Infini-attention's memory; rows of D values.
struct MemoryLaunches {
  /// out[r] = elu(x[r]) + 1 in f32 of x in bf16; where z is given c[r] = <out[r], z[r / per]>.
  void (*features)(const void* x, const float* z, float* out, float* c, int64_t rows, int64_t per, int64_t D, void* stream);

  /// out[r] = (grad[r] + s[r] z[r / per]) (elu + 1)'(x[r]) in bf16; without s it is 1.
  void (*features_backward)(const void* x, const float* grad, const float* s, const float* z, void* out, int64_t rows, int64_t per,
                            int64_t D, void* stream);

  /// out[r / per] = sum of s[r] x[r] over `per` rows; without s it is 1.
  void (*sum_rows)(const float* x, const float* s, float* out, int64_t rows, int64_t per, int64_t D, void* stream);

  /// out[r] = local[r] + g[r / per] (num[r] / c[r] - local[r]), local and out in bf16; nothing is read where c is 0.
  void (*mix)(const float* num, const float* c, const void* local, const float* gate, void* out, int64_t rows, int64_t per,
              int64_t D, void* stream);

  /// From grad in bf16, the gradient of out: of local (bf16), num, c (s) and, a sum for each row, the gate.
  void (*mix_backward)(const void* grad, const float* num, const float* c, const void* local, const float* gate, void* local_grad,
                       float* num_grad, float* s, float* gate_grad, int64_t rows, int64_t per, int64_t D, void* stream);
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

  /// x [rows,2M] in bf16: row r rotated by row r % per of cos and sin [per,M], or back.
  void (*rotate)(const void* x, const float* cos, const float* sin, void* out, int64_t rows, int64_t per, int64_t M, bool is_back,
                 void* stream);

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

constexpr int64_t kCudaVersion = 2;

}  // namespace longview::kernels

extern "C" const longview::kernels::CudaLaunches* longview_cuda_launches();
