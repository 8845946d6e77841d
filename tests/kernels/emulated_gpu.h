// The words of CUDA that longview/kernels/cuda uses, for the CPU: a block's threads are contexts of one thread, run in turns from one
// meeting (a shuffle, __syncthreads) to the next. Slow, and exact about who meets whom: a thread that stays away is an error.
#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <vector>

// NOLINTBEGIN: CUDA's names
#define __global__
#define __device__
#define __shared__ static

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct __nv_bfloat16 {
  uint16_t bits;
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline float __uint_as_float(unsigned bits) {
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}
inline __nv_bfloat16 nearest_bf16(float x) {
  uint32_t wide;
  std::memcpy(&wide, &x, sizeof wide);
  return {static_cast<uint16_t>((wide + 0x7fff + (wide >> 16 & 1)) >> 16)};
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {nearest_bf16(x), nearest_bf16(y)}; }

namespace longview::testing {

enum class Waits { nowhere, warp, block, done };

struct EmulatedThread {
  ucontext_t context{};
  std::unique_ptr<char[]> stack;
  dim3 index;
  Waits waits = Waits::nowhere;
};

struct EmulatedBlock {
  dim3 index, grid;
  std::vector<EmulatedThread> threads;
  std::vector<float> slots;   // what each thread offers in a shuffle
  std::vector<float> shared;  // as many as the launch asked for
  ucontext_t scheduler{};
  size_t now = 0;
  std::function<void()> body;

  void wait(Waits where) {
    threads[now].waits = where;
    swapcontext(&threads[now].context, &scheduler);
  }
};

inline EmulatedBlock*& running_block() {
  static EmulatedBlock* block = nullptr;
  return block;
}

inline void begin_thread() {
  running_block()->body();
  running_block()->wait(Waits::done);
}

/// Lets those go on of whom all that live have come to the meeting; false: nobody can.
inline bool release(EmulatedBlock& block, size_t first, size_t count, Waits where) {
  size_t waiting = 0, done = 0;
  for (size_t t = first; t < first + count; ++t) {
    waiting += block.threads[t].waits == where ? 1 : 0;
    done += block.threads[t].waits == Waits::done ? 1 : 0;
  }
  if (waiting == 0 || waiting + done < count) return false;
  if (where == Waits::warp && done > 0) throw std::runtime_error("a shuffle in which not all lanes take part");
  for (size_t t = first; t < first + count; ++t)
    if (block.threads[t].waits == where) block.threads[t].waits = Waits::nowhere;
  return true;
}

inline void run_block(EmulatedBlock& block) {
  running_block() = &block;
  for (auto& thread : block.threads) {
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.get(), thread.context.uc_stack.ss_size = 1 << 16;
    thread.context.uc_link = nullptr, thread.waits = Waits::nowhere;
    makecontext(&thread.context, begin_thread, 0);
  }
  for (;;) {
    bool has_moved = false;
    for (size_t t = 0; t < block.threads.size(); ++t) {
      if (block.threads[t].waits != Waits::nowhere) continue;
      block.now = t, has_moved = true;
      swapcontext(&block.scheduler, &block.threads[t].context);
    }
    for (size_t warp = 0; warp < block.threads.size(); warp += 32) has_moved |= release(block, warp, 32, Waits::warp);
    has_moved |= release(block, 0, block.threads.size(), Waits::block);
    if (has_moved) continue;
    for (const auto& thread : block.threads)
      if (thread.waits != Waits::done) throw std::runtime_error("threads wait for each other");
    return;
  }
}

}  // namespace longview::testing

#define threadIdx (longview::testing::running_block()->threads[longview::testing::running_block()->now].index)
#define blockIdx (longview::testing::running_block()->index)
#define gridDim (longview::testing::running_block()->grid)

inline void __syncthreads() { longview::testing::running_block()->wait(longview::testing::Waits::block); }

inline void __syncwarp() { longview::testing::running_block()->wait(longview::testing::Waits::warp); }

inline float __shfl_xor_sync(unsigned, float x, int step) {
  auto& block = *longview::testing::running_block();
  const size_t own = block.now;
  block.slots[own] = x;
  block.wait(longview::testing::Waits::warp);
  const float out = block.slots[own ^ static_cast<size_t>(step)];
  block.wait(longview::testing::Waits::warp);
  return out;
}
inline int min(int a, int b) { return a < b ? a : b; }

/// Matrices of a warp: each thread has the whole of it, and does the whole product.
namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
namespace precision {
struct tf32;
}
enum layout_t { mem_row_major };

template <class Use, int M, int N, int K, class T, class Layout = row_major>
struct fragment {
  static constexpr int kRows = std::is_same_v<Use, matrix_b> ? K : M, kColumns = std::is_same_v<Use, matrix_a> ? K : N;
  static constexpr int num_elements = kRows * kColumns;
  float x[num_elements];
};

inline float __float_to_tf32(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x1000) & ~uint32_t{0x1fff};
  std::memcpy(&x, &bits, sizeof bits);
  return x;
}

template <class Fragment>
void fill_fragment(Fragment& to, float x) {
  for (float& value : to.x) value = x;
}

template <class Use, int M, int N, int K, class T, class Layout>
void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& to, const float* from, int pitch) {
  using F = fragment<Use, M, N, K, T, Layout>;
  __syncwarp();
  for (int i = 0; i < F::kRows; ++i)
    for (int j = 0; j < F::kColumns; ++j)
      to.x[i * F::kColumns + j] = std::is_same_v<Layout, row_major> ? from[i * pitch + j] : from[j * pitch + i];
  __syncwarp();
}

template <class A, class B, class Sum>
void mma_sync(Sum& out, const A& a, const B& b, const Sum& in) {
  for (int i = 0; i < Sum::kRows; ++i)
    for (int j = 0; j < Sum::kColumns; ++j) {
      float sum = in.x[i * Sum::kColumns + j];
      for (int k = 0; k < A::kColumns; ++k) sum += a.x[i * A::kColumns + k] * b.x[k * Sum::kColumns + j];
      out.x[i * Sum::kColumns + j] = sum;
    }
}

template <class Sum>
void store_matrix_sync(float* to, const Sum& from, int pitch, layout_t) {
  __syncwarp();
  for (int i = 0; i < Sum::kRows; ++i)
    for (int j = 0; j < Sum::kColumns; ++j) to[i * pitch + j] = from.x[i * Sum::kColumns + j];
  __syncwarp();
}

}  // namespace nvcuda::wmma
// NOLINTEND

namespace longview::kernels {
namespace {

float* shared_floats() { return longview::testing::running_block()->shared.data(); }

template <class... Parameters, class... Arguments>
void launch_with(void (*kernel)(Parameters...), int64_t floats, dim3 grid, dim3 threads, void*, Arguments... arguments) {
  using namespace longview::testing;
  EmulatedBlock block;
  block.grid = grid, block.shared.assign(static_cast<size_t>(floats), NAN);
  for (unsigned y = 0; y < threads.y; ++y)
    for (unsigned x = 0; x < threads.x; ++x) {
      block.threads.emplace_back();
      block.threads.back().index = dim3(x, y), block.threads.back().stack = std::make_unique<char[]>(1 << 16);
    }
  block.slots.resize(block.threads.size());
  block.body = [&] { kernel(arguments...); };
  for (unsigned y = 0; y < grid.y; ++y)
    for (unsigned x = 0; x < grid.x; ++x) {
      block.index = dim3(x, y);
      run_block(block);
    }
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 threads, void* stream, Arguments... arguments) {
  launch_with(kernel, 0, grid, threads, stream, arguments...);
}

}  // namespace
}  // namespace longview::kernels
