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
#include <vector>

// NOLINTBEGIN: CUDA's names
#define __global__
#define __device__
#define __shared__ static

struct float2 {
  float x, y;
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
struct __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline float bf16_value(__nv_bfloat16 x) {
  const uint32_t wide = static_cast<uint32_t>(x.bits) << 16;
  float out;
  std::memcpy(&out, &wide, sizeof out);
  return out;
}
inline __nv_bfloat16 nearest_bf16(float x) {
  uint32_t wide;
  std::memcpy(&wide, &x, sizeof wide);
  return {static_cast<uint16_t>((wide + 0x7fff + (wide >> 16 & 1)) >> 16)};
}
inline float2 __bfloat1622float2(__nv_bfloat162 x) { return {bf16_value(x.x), bf16_value(x.y)}; }
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
  std::vector<float> slots;  // what each thread offers in a shuffle
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

inline float __shfl_xor_sync(unsigned, float x, int step) {
  auto& block = *longview::testing::running_block();
  const size_t own = block.now;
  block.slots[own] = x;
  block.wait(longview::testing::Waits::warp);
  const float out = block.slots[own ^ static_cast<size_t>(step)];
  block.wait(longview::testing::Waits::warp);
  return out;
}
// NOLINTEND

namespace longview::kernels {
namespace {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 threads, void*, Arguments... arguments) {
  using namespace longview::testing;
  EmulatedBlock block;
  block.grid = grid;
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

}  // namespace
}  // namespace longview::kernels
