// What liblongview_cuda.so offers: launches of our CUDA kernels on raw memory. It links no LibTorch and the program no CUDA: the program
// loads it when it first needs it. All matrices are contiguous, rows of D values, D a multiple of 4; streams are cudaStream_t.
#pragma once

#include <cstdint>

namespace longview::kernels {

struct CudaLaunches {
  int64_t version;

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

constexpr int64_t kCudaVersion = 1;

}  // namespace longview::kernels

extern "C" const longview::kernels::CudaLaunches* longview_cuda_launches();
