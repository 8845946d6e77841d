// The passes of Infini-attention between its matrix products, each one trip through memory: a warp a row, four values a lane.
#include <cuda_bf16.h>

#include "longview/kernels/cuda/launches.h"

namespace longview::kernels {
namespace {

constexpr int kWarps = 8;  // rows a block works on at once

struct alignas(8) Bf16x4 {
  __nv_bfloat162 low, high;
};

__device__ float4 load(const void* x, int64_t at) {
  const Bf16x4 raw = *reinterpret_cast<const Bf16x4*>(static_cast<const __nv_bfloat16*>(x) + at);
  const float2 low = __bfloat1622float2(raw.low), high = __bfloat1622float2(raw.high);
  return {low.x, low.y, high.x, high.y};
}
__device__ float4 load(const float* x, int64_t at) { return *reinterpret_cast<const float4*>(x + at); }

__device__ void store(void* x, int64_t at, float4 v) {
  const Bf16x4 raw{__floats2bfloat162_rn(v.x, v.y), __floats2bfloat162_rn(v.z, v.w)};
  *reinterpret_cast<Bf16x4*>(static_cast<__nv_bfloat16*>(x) + at) = raw;
}
__device__ void store(float* x, int64_t at, float4 v) { *reinterpret_cast<float4*>(x + at) = v; }

template <class F>
__device__ float4 each(float4 a, F f) {
  return {f(a.x), f(a.y), f(a.z), f(a.w)};
}
template <class F>
__device__ float4 each(float4 a, float4 b, F f) {
  return {f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w)};
}
__device__ float dot(float4 a, float4 b) { return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }

__device__ float over_warp(float x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffff, x, step);
  return x;
}

__device__ float sigma(float x) { return x >= 0 ? x + 1 : expf(x); }
__device__ float slope(float x) { return x >= 0 ? 1 : expf(x); }

__device__ int64_t first_row() { return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y; }

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

unsigned blocks(int64_t rows) { return static_cast<unsigned>((rows + kWarps - 1) / kWarps); }
const dim3 kThreads{32, kWarps};
cudaStream_t at(void* stream) { return static_cast<cudaStream_t>(stream); }

const CudaLaunches kLaunches{
    kCudaVersion,
    [](const void* x, const float* z, float* out, float* c, int64_t rows, int64_t per, int64_t D, void* stream) {
      features_kernel<<<blocks(rows), kThreads, 0, at(stream)>>>(x, z, out, c, rows, per, D);
    },
    [](const void* x, const float* grad, const float* s, const float* z, void* out, int64_t rows, int64_t per, int64_t D,
       void* stream) { features_backward_kernel<<<blocks(rows), kThreads, 0, at(stream)>>>(x, grad, s, z, out, rows, per, D); },
    [](const float* x, const float* s, float* out, int64_t rows, int64_t per, int64_t D, void* stream) {
      const dim3 grid(static_cast<unsigned>(rows / per), static_cast<unsigned>((D + 127) / 128));
      sum_rows_kernel<<<grid, kThreads, 0, at(stream)>>>(x, s, out, per, D);
    },
    [](const float* num, const float* c, const void* local, const float* gate, void* out, int64_t rows, int64_t per, int64_t D,
       void* stream) { mix_kernel<<<blocks(rows), kThreads, 0, at(stream)>>>(num, c, local, gate, out, rows, per, D); },
    [](const void* grad, const float* num, const float* c, const void* local, const float* gate, void* local_grad, float* num_grad,
       float* s, float* gate_grad, int64_t rows, int64_t per, int64_t D, void* stream) {
      mix_backward_kernel<<<blocks(rows), kThreads, 0, at(stream)>>>(grad, num, c, local, gate, local_grad, num_grad, s, gate_grad,
                                                                     rows, per, D);
    },
};

}  // namespace
}  // namespace longview::kernels

extern "C" const longview::kernels::CudaLaunches* longview_cuda_launches() { return &longview::kernels::kLaunches; }
