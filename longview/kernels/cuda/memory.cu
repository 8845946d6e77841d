// The passes of Infini-attention between its matrix products, each one trip through memory: a warp a row, four values a lane.
#include "longview/kernels/cuda/lanes.cuh"
#include "longview/kernels/cuda/launches.h"

namespace longview::kernels {
namespace {

__device__ float sigma(float x) { return x >= 0 ? x + 1 : expf(x); }
__device__ float slope(float x) { return x >= 0 ? 1 : expf(x); }

__global__ void features_kernel(const void* x, const float* z, float* out, float* c, int64_t rows, int64_t per, int64_t D) {
  const int64_t row = first_row();
  if (row >= rows) return;
  float sum = 0;
  for (int64_t d = 4 * threadIdx.x; d < D; d += 128) {
    const float4 s = each(load(x, row * D + d), [](float v) { return sigma(v); });
    store(out, row * D + d, s);
    if (z != nullptr) sum += dot(s, load(z, row / per * D + d));
  }
  if (z == nullptr) return;
  sum = over_warp(sum);
  if (threadIdx.x == 0) c[row] = sum;
}

__global__ void features_backward_kernel(const void* x, const float* grad, const float* s, const float* z, void* out, int64_t rows,
                                         int64_t per, int64_t D) {
  const int64_t row = first_row();
  if (row >= rows) return;
  const float weight = s == nullptr ? 1 : s[row];
  for (int64_t d = 4 * threadIdx.x; d < D; d += 128) {
    const float4 whole =
        each(load(grad, row * D + d), load(z, row / per * D + d), [=](float g, float v) { return g + weight * v; });
    store(out, row * D + d, each(whole, load(x, row * D + d), [](float g, float v) { return g * slope(v); }));
  }
}

/// A block a group of `per` rows and 128 columns; each warp takes every kWarps-th row, the warps' sums are added in order.
__global__ void sum_rows_kernel(const float* x, const float* s, float* out, int64_t per, int64_t D) {
  __shared__ float4 parts[kWarps][32];
  const int64_t d = 128 * static_cast<int64_t>(blockIdx.y) + 4 * threadIdx.x, begin = static_cast<int64_t>(blockIdx.x) * per;
  float4 sum{0, 0, 0, 0};
  if (d < D) {
#pragma unroll 4
    for (int64_t row = begin + threadIdx.y; row < begin + per; row += kWarps) {
      const float weight = s == nullptr ? 1 : s[row];
      sum = each(sum, load(x, row * D + d), [=](float a, float b) { return a + weight * b; });
    }
  }
  parts[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || d >= D) return;
  for (int w = 1; w < kWarps; ++w) sum = each(sum, parts[w][threadIdx.x], [](float a, float b) { return a + b; });
  store(out, static_cast<int64_t>(blockIdx.x) * D + d, sum);
}

__global__ void mix_kernel(const float* num, const float* c, const void* local, const float* gate, void* out, int64_t rows,
                           int64_t per, int64_t D) {
  const int64_t row = first_row();
  if (row >= rows) return;
  const float g = gate[row / per], inverse = c[row] > 0 ? 1 / c[row] : 0;
  for (int64_t d = 4 * threadIdx.x; d < D; d += 128)
    store(out, row * D + d,
          each(load(num, row * D + d), load(local, row * D + d), [=](float n, float l) { return l + g * (n * inverse - l); }));
}

__global__ void mix_backward_kernel(const void* grad, const float* num, const float* c, const void* local, const float* gate,
                                    void* local_grad, float* num_grad, float* s, float* gate_grad, int64_t rows, int64_t per,
                                    int64_t D) {
  const int64_t row = first_row();
  if (row >= rows) return;
  const float g = gate[row / per], inverse = c[row] > 0 ? 1 / c[row] : 0;
  float of_read = 0, of_local = 0;  // <grad, read> and <grad, local>
  for (int64_t d = 4 * threadIdx.x; d < D; d += 128) {
    const float4 dy = load(grad, row * D + d);
    of_read += dot(dy, load(num, row * D + d)) * inverse, of_local += dot(dy, load(local, row * D + d));
    store(local_grad, row * D + d, each(dy, [=](float v) { return (1 - g) * v; }));
    store(num_grad, row * D + d, each(dy, [=](float v) { return g * inverse * v; }));
  }
  of_read = over_warp(of_read), of_local = over_warp(of_local);
  if (threadIdx.x == 0) s[row] = -g * of_read * inverse, gate_grad[row] = of_read - of_local;
}

}  // namespace

const MemoryLaunches& memory_launches() {
  static const MemoryLaunches out{
      [](const void* x, const float* z, float* out, float* c, int64_t rows, int64_t per, int64_t D, void* stream) {
        launch(features_kernel, blocks(rows), kThreads, stream, x, z, out, c, rows, per, D);
      },
      [](const void* x, const float* grad, const float* s, const float* z, void* out, int64_t rows, int64_t per, int64_t D,
         void* stream) { launch(features_backward_kernel, blocks(rows), kThreads, stream, x, grad, s, z, out, rows, per, D); },
      [](const float* x, const float* s, float* out, int64_t rows, int64_t per, int64_t D, void* stream) {
        const dim3 grid(static_cast<unsigned>(rows / per), static_cast<unsigned>((D + 127) / 128));
        launch(sum_rows_kernel, grid, kThreads, stream, x, s, out, per, D);
      },
      [](const float* num, const float* c, const void* local, const float* gate, void* out, int64_t rows, int64_t per, int64_t D,
         void* stream) { launch(mix_kernel, blocks(rows), kThreads, stream, num, c, local, gate, out, rows, per, D); },
      [](const void* grad, const float* num, const float* c, const void* local, const float* gate, void* local_grad,
         float* num_grad, float* s, float* gate_grad, int64_t rows, int64_t per, int64_t D, void* stream) {
        launch(mix_backward_kernel, blocks(rows), kThreads, stream, grad, num, c, local, gate, local_grad, num_grad, s, gate_grad,
               rows, per, D);
      },
  };
  return out;
}

}  // namespace longview::kernels
