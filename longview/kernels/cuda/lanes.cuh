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

__device__ float low_half(unsigned pair) { return __uint_as_float(pair << 16); }  // of two bf16
__device__ float high_half(unsigned pair) { return __uint_as_float(pair & 0xffff0000); }
__device__ unsigned pair_of(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}

__device__ float4 load(const void* x, int64_t at) {
  const uint2 raw = *reinterpret_cast<const uint2*>(static_cast<const __nv_bfloat16*>(x) + at);
  return {low_half(raw.x), high_half(raw.x), low_half(raw.y), high_half(raw.y)};
}
__device__ float4 load(const float* x, int64_t at) { return *reinterpret_cast<const float4*>(x + at); }

__device__ void store(void* x, int64_t at, float4 v) {
  *reinterpret_cast<uint2*>(static_cast<__nv_bfloat16*>(x) + at) = uint2{pair_of(v.x, v.y), pair_of(v.z, v.w)};
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

__device__ int64_t first_thread() { return static_cast<int64_t>(blockIdx.x) * (32 * kWarps) + 32 * threadIdx.y + threadIdx.x; }
__device__ int64_t first_row() { return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y; }

unsigned blocks(int64_t rows) { return static_cast<unsigned>((rows + kWarps - 1) / kWarps); }
unsigned blocks_of_threads(int64_t count) { return static_cast<unsigned>((count + 32 * kWarps - 1) / (32 * kWarps)); }
const dim3 kThreads{32, kWarps};

#ifdef __CUDACC__
__device__ float* shared_floats() {
  extern __shared__ float4 values[];
  return reinterpret_cast<float*>(values);
}

/// With so many floats of shared memory a block.
template <class... Parameters, class... Arguments>
void launch_with(void (*kernel)(Parameters...), int64_t floats, dim3 grid, dim3 threads, void* stream, Arguments... arguments) {
  const auto bytes = static_cast<int>(floats * sizeof(float));
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  kernel<<<grid, threads, bytes, static_cast<cudaStream_t>(stream)>>>(arguments...);
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 threads, void* stream, Arguments... arguments) {
  launch_with(kernel, 0, grid, threads, stream, arguments...);
}
#endif

}  // namespace
}  // namespace longview::kernels
