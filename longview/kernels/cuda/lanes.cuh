// What our CUDA kernels share: four values a lane, sums over a warp, launches. A test may define the few words of CUDA that they use
// before this is read, and compile them for the CPU.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#endif

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

__device__ int64_t first_row() { return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y; }

unsigned blocks(int64_t rows) { return static_cast<unsigned>((rows + kWarps - 1) / kWarps); }
const dim3 kThreads{32, kWarps};

#ifdef __CUDACC__
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 threads, void* stream, Arguments... arguments) {
  kernel<<<grid, threads, 0, static_cast<cudaStream_t>(stream)>>>(arguments...);
}
#endif

}  // namespace
}  // namespace longview::kernels
