// Infini-attention's memory (arXiv:2404.07143) on tensor cores, each kernel one trip through memory: a block holds the D x D numbers of one
// segment's memory, and its warps take 16 rows of the segment at a time. Products are TF32, or in three of them nearly f32.
#include <type_traits>

#include "longview/kernels/cuda/lanes.cuh"
#include "longview/kernels/cuda/launches.h"

#ifdef __CUDACC__
#include <mma.h>
#endif

namespace longview::kernels {
namespace {

namespace wmma = nvcuda::wmma;

constexpr int kTileWarps = 4, kStrip = 16, kTile = kTileWarps * kStrip;  // rows
constexpr int kBlockRows = 4 * kTile;                                    // where rows do not depend on each other
const dim3 kTileThreads{32, kTileWarps};

template <class Layout>
using Left = wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, Layout>;
template <class Layout>
using Right = wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, Layout>;
using Sum = wmma::fragment<wmma::accumulator, 16, 16, 8, float>;

/// Eight values of a row.
struct Eight {
  float4 low, high;
};
__device__ uint4 fetch(const void* x, int64_t at) {
  return *reinterpret_cast<const uint4*>(static_cast<const __nv_bfloat16*>(x) + at);
}
__device__ Eight widened(uint4 raw) {
  return {{low_half(raw.x), high_half(raw.x), low_half(raw.y), high_half(raw.y)},
          {low_half(raw.z), high_half(raw.z), low_half(raw.w), high_half(raw.w)}};
}
__device__ Eight eight(const float* x) { return {load(x, 0), load(x, 4)}; }
__device__ void put_eight(float* x, const Eight& v) { store(x, 0, v.low), store(x, 4, v.high); }
__device__ void put_eight(void* x, int64_t at, const Eight& v) {
  *reinterpret_cast<uint4*>(static_cast<__nv_bfloat16*>(x) + at) =
      uint4{pair_of(v.low.x, v.low.y), pair_of(v.low.z, v.low.w), pair_of(v.high.x, v.high.y), pair_of(v.high.z, v.high.w)};
}
template <class F>
__device__ Eight each(const Eight& a, F f) {
  return {each(a.low, f), each(a.high, f)};
}
template <class F>
__device__ Eight each(const Eight& a, const Eight& b, F f) {
  return {each(a.low, b.low, f), each(a.high, b.high, f)};
}
__device__ float dot(const Eight& a, const Eight& b) { return dot(a.low, b.low) + dot(a.high, b.high); }

/// What a tile in shared memory holds: numbers as TF32 products take them, or whole ones.
template <bool kIsExact, class Values>
__device__ Values kept(const Values& x) {
  return kIsExact ? x : each(x, [](float v) { return wmma::__float_to_tf32(v); });
}

template <class Fragment>
__device__ Fragment split(Fragment& x) {  // x = its TF32 + what is returned
  Fragment rest;
  for (int n = 0; n < x.num_elements; ++n) {
    const float whole = x.x[n];
    x.x[n] = wmma::__float_to_tf32(whole), rest.x[n] = wmma::__float_to_tf32(whole - x.x[n]);
  }
  return rest;
}

template <bool kIsExact, class A, class B>
__device__ void multiply(Sum& sum, A& a, B& b) {
  if (kIsExact) {
    const A a_rest = split(a);
    const B b_rest = split(b);
    wmma::mma_sync(sum, a_rest, b, sum);
    wmma::mma_sync(sum, a, b_rest, sum);
  }
  wmma::mma_sync(sum, a, b, sum);
}

template <int D>
struct Tile {
  static constexpr int kPitch = D + 4, kLanes = D / 8, kColumns = D / 16;         // a lane takes eight values of a row
  static constexpr int kRowsAtOnce = 32 / kLanes, kTurns = kStrip / kRowsAtOnce;  // of a warp
  static constexpr int kStrips = (kColumns + kTileWarps - 1) / kTileWarps;        // of the D rows of a memory, each warp
  static constexpr int kValues = kTile * kPitch, kMemory = D * kPitch;

  /// Calls f(turn, row of the strip, column) for this lane's eight values of each turn.
  template <class F>
  __device__ static void rows(F f) {
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn)
      f(turn, turn * kRowsAtOnce + static_cast<int>(threadIdx.x) / kLanes, 8 * (static_cast<int>(threadIdx.x) % kLanes));
  }
  /// The sum over the lanes of one row.
  __device__ static float over_row(float x) {
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffff, x, step);
    return x;
  }

  /// out = strip (16 rows of D) times a memory, or its transpose.
  template <bool kIsExact, class Layout>
  __device__ static void times(const float* strip, const float* memory, Sum (&out)[kColumns]) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) wmma::fill_fragment(out[c], 0.0F);
#pragma unroll 2
    for (int k = 0; k < D; k += 8) {
      Left<wmma::row_major> a;
      wmma::load_matrix_sync(a, strip + k, kPitch);
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        Right<Layout> b;
        wmma::load_matrix_sync(b, memory + (std::is_same_v<Layout, wmma::row_major> ? k * kPitch + 16 * c : 16 * c * kPitch + k),
                               kPitch);
        Left<wmma::row_major> own = a;
        multiply<kIsExact>(out[c], own, b);
      }
    }
  }
  __device__ static void put(float* strip, const Sum (&sums)[kColumns]) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) wmma::store_matrix_sync(strip + 16 * c, sums[c], kPitch, wmma::mem_row_major);
  }

  /// This warp's rows of sum += left^T right over the tile's rows.
  struct Outer {
    Sum sums[kStrips][kColumns];

    __device__ void clear() {
#pragma unroll
      for (auto& strip : sums)
        for (auto& sum : strip) wmma::fill_fragment(sum, 0.0F);
    }
    template <bool kIsExact>
    __device__ void add(const float* left, const float* right) {
#pragma unroll
      for (int n = 0; n < kStrips; ++n) {
        const int strip = n * kTileWarps + static_cast<int>(threadIdx.y);
        if (strip >= kColumns) return;
#pragma unroll 2
        for (int row = 0; row < kTile; row += 8) {
          Left<wmma::col_major> a;
          wmma::load_matrix_sync(a, left + row * kPitch + 16 * strip, kPitch);
#pragma unroll
          for (int c = 0; c < kColumns; ++c) {
            Right<wmma::row_major> b;
            wmma::load_matrix_sync(b, right + row * kPitch + 16 * c, kPitch);
            Left<wmma::col_major> own = a;
            multiply<kIsExact>(sums[n][c], own, b);
          }
        }
      }
    }
    __device__ void put(float* memory) const {
#pragma unroll
      for (int n = 0; n < kStrips; ++n) {
        const int strip = n * kTileWarps + static_cast<int>(threadIdx.y);
        if (strip >= kColumns) return;
#pragma unroll
        for (int c = 0; c < kColumns; ++c)
          wmma::store_matrix_sync(memory + 16 * strip * D + 16 * c, sums[n][c], D, wmma::mem_row_major);
      }
    }
  };

  /// A memory [D,D] and its sum of keys [D] from global to shared memory.
  template <bool kIsExact>
  __device__ static void take(const float* M, const float* z, float* memory, float* keys) {
    const int thread = 32 * static_cast<int>(threadIdx.y) + static_cast<int>(threadIdx.x);
#pragma unroll 8
    for (int n = thread; n < D * D / 4; n += 32 * kTileWarps)
      store(memory, n / (D / 4) * kPitch + 4 * (n % (D / 4)), kept<kIsExact>(load(M, 4 * n)));
    for (int d = thread; d < D; d += 32 * kTileWarps) keys[d] = z[d];
    __syncthreads();
  }
};

__device__ float sigma(float x) { return fmaxf(x, 0) + expf(fminf(x, 0)); }  // elu + 1, without a branch
/// The slope of sigma where it is s.
__device__ float slope(float s) { return fminf(s, 1); }

/// Which text, key head and segment a block works on, and where things are.
struct Here {
  int64_t group, b, g, s;  // group = (b, g, s) in order
  __device__ explicit Here(const MemorySizes& n) : group(blockIdx.x), b(group / n.S / n.G), g(group / n.S % n.G), s(group % n.S) {}
  __device__ int64_t begin(const Places& x) const { return b * x.batch + g * x.group + s * x.segment; }
  /// Of the memories [B,G,S+1], the one before this segment.
  __device__ int64_t slot(const MemorySizes& n) const { return (b * n.G + g) * (n.S + 1) + s; }
};

/// One of a segment's N tokens that are written: the text has it, and where.
struct Written {
  bool is_there;
  int64_t token;  // from the segment's first on
  __device__ Written(int i, const Here& here, const MemorySizes& n)
      : is_there(here.s > 0 || i >= n.late), token(is_there ? i - n.late : 0) {}
};

/// One of a segment's R * N queries: of which head, and which token.
struct Spot {
  int head, token;
  __device__ Spot(int i, int N) : head(i / N), token(i - head * N) {}
  __device__ int64_t in(const Places& x) const { return head * x.head + token * x.token; }
};

/// M and z after the segment's slot = the sums of weight sigma(k)^T v and of weight sigma(k).
template <int D, bool kIsExact>
__global__ void add_kernel(Rows k, Rows v, const float* weight, float* M, float* z, MemorySizes n) {
  using T = Tile<D>;
  float* keys = shared_floats();
  float* values = keys + T::kValues;
  const Here here(n);
  const int64_t begin_k = here.begin(k.at), begin_v = here.begin(v.at), begin_w = (here.b * n.S + here.s) * n.N;
  const int warp = static_cast<int>(threadIdx.y), thread = 32 * warp + static_cast<int>(threadIdx.x), N = static_cast<int>(n.N);
  float *own_keys = keys + kStrip * T::kPitch * warp, *own_values = values + kStrip * T::kPitch * warp;
  typename T::Outer outer;
  outer.clear();
  float sum = 0;
  for (int tile = 0; tile < N; tile += kTile) {
    const int first = tile + kStrip * warp;
    uint4 key[T::kTurns], value[T::kTurns];
    float times[T::kTurns];
    T::rows([&](int turn, int row, int column) {
      const int i = min(first + row, N - 1);
      const Written at(i, here, n);
      key[turn] = fetch(k.x, begin_k + at.token * k.at.token + column);
      value[turn] = fetch(v.x, begin_v + at.token * v.at.token + column);
      times[turn] = first + row >= N || !at.is_there ? 0 : weight == nullptr ? 1 : weight[begin_w + i];
    });
    T::rows([&](int turn, int row, int column) {
      const float w = times[turn];
      put_eight(own_keys + row * T::kPitch + column,
                kept<kIsExact>(each(widened(key[turn]), [=](float x) { return w * sigma(x); })));
      put_eight(own_values + row * T::kPitch + column, widened(value[turn]));
    });
    __syncthreads();
    outer.template add<kIsExact>(keys, values);
    if (thread < D) {
#pragma unroll 16
      for (int row = 0; row < kTile; ++row) sum += keys[row * T::kPitch + thread];
    }
    __syncthreads();
  }
  outer.put(M + (here.slot(n) + 1) * D * D);
  if (thread < D) z[(here.slot(n) + 1) * D + thread] = sum;
}

/// out = local + gate (sigma(q) M / sigma(q) z - local).
template <int D, bool kIsExact>
__global__ void read_kernel(Rows q, Rows local, const float* gate, const float* M, const float* z, MutableRows out, MemorySizes n) {
  using T = Tile<D>;
  float* memory = shared_floats();
  float* sums = memory + T::kMemory;
  float* strip = sums + D + kStrip * T::kPitch * static_cast<int>(threadIdx.y);
  const Here here(n);
  T::template take<kIsExact>(M + here.slot(n) * D * D, z + here.slot(n) * D, memory, sums);
  const int64_t begin_q = here.begin(q.at), begin_local = here.begin(local.at), begin_out = here.begin(out.at);
  const int N = static_cast<int>(n.N), rows = static_cast<int>(n.R) * N;
  const int begin = kBlockRows * static_cast<int>(blockIdx.y), end = min(begin + kBlockRows, rows);
  for (int first = begin + kStrip * static_cast<int>(threadIdx.y); first < end; first += kTile) {
    uint4 query[T::kTurns], seen[T::kTurns];
    float c[T::kTurns];
    T::rows([&](int turn, int row, int column) {
      const Spot spot(min(first + row, end - 1), N);
      query[turn] = fetch(q.x, begin_q + spot.in(q.at) + column),
      seen[turn] = fetch(local.x, begin_local + spot.in(local.at) + column);
    });
    T::rows([&](int turn, int row, int column) {
      const Eight features = each(widened(query[turn]), [](float x) { return sigma(x); });
      c[turn] = T::over_row(dot(features, eight(sums + column)));
      put_eight(strip + row * T::kPitch + column, kept<kIsExact>(features));
    });
    __syncwarp();
    Sum read[T::kColumns];
    T::template times<kIsExact, wmma::row_major>(strip, memory, read);
    __syncwarp();
    T::put(strip, read);
    __syncwarp();
    T::rows([&](int turn, int row, int column) {
      const Spot spot(min(first + row, end - 1), N);
      const float g = gate[here.group * n.R + spot.head], inverse = c[turn] > 0 ? 1 / c[turn] : 0;
      const Eight mixed = each(eight(strip + row * T::kPitch + column), widened(seen[turn]),
                               [=](float num, float l) { return l + g * (num * inverse - l); });
      if (first + row < end) put_eight(out.x, begin_out + spot.in(out.at) + column, mixed);
    });
    __syncwarp();
  }
}

/// From dy, the gradient of read's out: of q, of local, of the memory before the segment (dM, dz) and, a number a row, of the gate.
template <int D>
__global__ void read_backward_kernel(Rows dy, Rows q, Rows local, const float* gate, const float* M, const float* z,
                                     MutableRows d_q, MutableRows d_local, float* d_gate, float* dM, float* dz, MemorySizes n) {
  using T = Tile<D>;
  float* memory = shared_floats();
  float* sums = memory + T::kMemory;
  float* queries = sums + D;
  float* grads = queries + T::kValues;  // what is read, then its gradient, then that of sigma(q)
  float* s = grads + T::kValues;        // the gradient of sigma(q) z, a number a row
  const Here here(n);
  T::template take<false>(M + here.slot(n) * D * D, z + here.slot(n) * D, memory, sums);
  const int64_t begin_dy = here.begin(dy.at), begin_q = here.begin(q.at), begin_local = here.begin(local.at);
  const int64_t begin_dq = here.begin(d_q.at), begin_dl = here.begin(d_local.at);
  const int N = static_cast<int>(n.N), rows = static_cast<int>(n.R) * N, warp = static_cast<int>(threadIdx.y);
  const int thread = 32 * warp + static_cast<int>(threadIdx.x);
  float *own_q = queries + kStrip * T::kPitch * warp, *own = grads + kStrip * T::kPitch * warp, *own_s = s + kStrip * warp;
  typename T::Outer outer;
  outer.clear();
  float sum = 0;
  for (int tile = 0; tile < rows; tile += kTile) {
    const int first = tile + kStrip * warp;
    uint4 query[T::kTurns], seen[T::kTurns], grad[T::kTurns];
    float c[T::kTurns];
    T::rows([&](int turn, int row, int column) {
      const Spot spot(min(first + row, rows - 1), N);
      query[turn] = fetch(q.x, begin_q + spot.in(q.at) + column),
      seen[turn] = fetch(local.x, begin_local + spot.in(local.at) + column);
      grad[turn] = fetch(dy.x, begin_dy + spot.in(dy.at) + column);
    });
    T::rows([&](int turn, int row, int column) {
      const Eight features = each(widened(query[turn]), [](float x) { return sigma(x); });
      c[turn] = T::over_row(dot(features, eight(sums + column)));
      put_eight(own_q + row * T::kPitch + column, kept<false>(features));
    });
    __syncwarp();
    Sum part[T::kColumns];
    T::template times<false, wmma::row_major>(own_q, memory, part);
    T::put(own, part);
    __syncwarp();
    T::rows([&](int turn, int row, int column) {
      const bool is_there = first + row < rows;
      const Spot spot(min(first + row, rows - 1), N);
      const Eight d = widened(grad[turn]);
      const float g = gate[here.group * n.R + spot.head], inverse = c[turn] > 0 ? 1 / c[turn] : 0;
      const float of_read = T::over_row(dot(d, eight(own + row * T::kPitch + column))) * inverse;
      const float of_local = T::over_row(dot(d, widened(seen[turn]))), share = is_there ? g * inverse : 0;
      put_eight(own + row * T::kPitch + column, kept<false>(each(d, [=](float v) { return share * v; })));
      if (column == 0) own_s[row] = -share * of_read;
      if (!is_there) return;
      if (column == 0) d_gate[here.group * rows + first + row] = of_read - of_local;
      put_eight(d_local.x, begin_dl + spot.in(d_local.at) + column, each(d, [=](float v) { return (1 - g) * v; }));
    });
    __syncthreads();
    outer.template add<false>(queries, grads);
    if (thread < D) {
#pragma unroll 16
      for (int row = 0; row < kTile; ++row) sum += queries[row * T::kPitch + thread] * s[row];
    }
    T::template times<false, wmma::col_major>(own, memory, part);
    __syncthreads();  // all have used the gradients
    T::put(own, part);
    __syncwarp();
    T::rows([&](int, int row, int column) {
      const Spot spot(min(first + row, rows - 1), N);
      const float weight = own_s[row];
      const Eight whole =
          each(eight(own + row * T::kPitch + column), eight(sums + column), [=](float a, float b) { return a + weight * b; });
      const Eight out = each(whole, eight(own_q + row * T::kPitch + column), [](float a, float x) { return a * slope(x); });
      if (first + row < rows) put_eight(d_q.x, begin_dq + spot.in(d_q.at) + column, out);
    });
    __syncwarp();
  }
  outer.put(dM + here.slot(n) * D * D);
  if (thread < D) dz[here.slot(n) * D + thread] = sum;
}

/// From dM and dz, the gradient of the memory after each segment: of k and v.
template <int D>
__global__ void add_backward_kernel(Rows k, Rows v, const float* weight, const float* dM, const float* dz, MutableRows d_k,
                                    MutableRows d_v, MemorySizes n) {
  using T = Tile<D>;
  float* memory = shared_floats();
  float* sums = memory + T::kMemory;
  float* own_k = sums + D + kStrip * T::kPitch * static_cast<int>(threadIdx.y);
  float* own = own_k + T::kValues;
  const Here here(n);
  T::template take<false>(dM + (here.slot(n) + 1) * D * D, dz + (here.slot(n) + 1) * D, memory, sums);
  const int64_t begin_k = here.begin(k.at), begin_v = here.begin(v.at), begin_dk = here.begin(d_k.at),
                begin_dv = here.begin(d_v.at);
  const int64_t begin_w = (here.b * n.S + here.s) * n.N;
  const int begin = kBlockRows * static_cast<int>(blockIdx.y), end = min(begin + kBlockRows, static_cast<int>(n.N));
  for (int first = begin + kStrip * static_cast<int>(threadIdx.y); first < end; first += kTile) {
    uint4 key[T::kTurns], value[T::kTurns];
    float times[T::kTurns];
    T::rows([&](int turn, int row, int column) {
      const int i = min(first + row, end - 1);
      const Written at(i, here, n);
      key[turn] = fetch(k.x, begin_k + at.token * k.at.token + column);
      value[turn] = fetch(v.x, begin_v + at.token * v.at.token + column);
      times[turn] = weight == nullptr ? 1 : weight[begin_w + i];
    });
    T::rows([&](int turn, int row, int column) {
      put_eight(own_k + row * T::kPitch + column, kept<false>(each(widened(key[turn]), [](float x) { return sigma(x); })));
      put_eight(own + row * T::kPitch + column, widened(value[turn]));
    });
    __syncwarp();
    Sum of_v[T::kColumns], of_k[T::kColumns];
    T::template times<false, wmma::row_major>(own_k, memory, of_v);
    T::template times<false, wmma::col_major>(own, memory, of_k);
    __syncwarp();
    T::put(own, of_v);
    __syncwarp();
    T::rows([&](int turn, int row, int column) {
      const float w = times[turn];
      const Eight out = each(eight(own + row * T::kPitch + column), [=](float x) { return w * x; });
      const Written at(first + row, here, n);
      if (first + row < end && at.is_there) put_eight(d_v.x, begin_dv + at.token * d_v.at.token + column, out);
    });
    __syncwarp();
    T::put(own, of_k);
    __syncwarp();
    T::rows([&](int turn, int row, int column) {
      const float w = times[turn];
      const Eight grad =
          each(eight(own + row * T::kPitch + column), eight(sums + column), [=](float a, float b) { return w * (a + b); });
      const Eight out = each(grad, eight(own_k + row * T::kPitch + column), [](float a, float x) { return a * slope(x); });
      const Written at(first + row, here, n);
      if (first + row < end && at.is_there) put_eight(d_k.x, begin_dk + at.token * d_k.at.token + column, out);
    });
    __syncwarp();
  }
}

/// x [outer,count,inner]: each becomes the sum of itself and all before it, or after. Four columns a thread.
__global__ void scan_kernel(float* x, int64_t outer, int64_t count, int64_t inner, bool is_back) {
  const int64_t fours = inner / 4, i = first_thread(), row = i / fours;
  if (row >= outer) return;
  float* from = x + row * count * inner + i % fours * 4;
  const auto at = [&](int64_t n) { return (is_back ? count - 1 - n : n) * inner; };
  constexpr int kAtOnce = 4;
  float4 sum{0, 0, 0, 0};
  for (int64_t first = 0; first < count; first += kAtOnce) {
    float4 parts[kAtOnce];
#pragma unroll
    for (int n = 0; n < kAtOnce; ++n)
      if (first + n < count) parts[n] = load(from, at(first + n));
#pragma unroll
    for (int n = 0; n < kAtOnce; ++n) {
      if (first + n >= count) break;
      sum = each(sum, parts[n], [](float a, float b) { return a + b; });
      store(from, at(first + n), sum);
    }
  }
}

/// Calls f with a Tile of the width.
template <class F>
void for_width(int64_t D, F f) {
  if (D == 16) f(Tile<16>{}, std::integral_constant<int, 16>{});
  if (D == 32) f(Tile<32>{}, std::integral_constant<int, 32>{});
  if (D == 64) f(Tile<64>{}, std::integral_constant<int, 64>{});
  if (D == 128) f(Tile<128>{}, std::integral_constant<int, 128>{});
}

dim3 grid_of(const MemorySizes& n, int64_t rows) {
  return {static_cast<unsigned>(n.B * n.G * n.S), static_cast<unsigned>((rows + kBlockRows - 1) / kBlockRows)};
}

}  // namespace

const MemoryLaunches& memory_launches() {
  static const MemoryLaunches out{
      [](Rows k, Rows v, const float* weight, float* M, float* z, MemorySizes n, bool is_exact, void* stream) {
        for_width(n.D, [&](auto tile, auto width) {
          constexpr int D = decltype(width)::value;
          launch_with(is_exact ? add_kernel<D, true> : add_kernel<D, false>, 2 * tile.kValues, grid_of(n, 1), kTileThreads, stream,
                      k, v, weight, M, z, n);
        });
      },
      [](Rows q, Rows local, const float* gate, const float* M, const float* z, MutableRows out, MemorySizes n, bool is_exact,
         void* stream) {
        for_width(n.D, [&](auto tile, auto width) {
          constexpr int D = decltype(width)::value;
          launch_with(is_exact ? read_kernel<D, true> : read_kernel<D, false>, tile.kMemory + D + tile.kValues,
                      grid_of(n, n.R * n.N), kTileThreads, stream, q, local, gate, M, z, out, n);
        });
      },
      [](Rows dy, Rows q, Rows local, const float* gate, const float* M, const float* z, MutableRows d_q, MutableRows d_local,
         float* d_gate, float* dM, float* dz, MemorySizes n, void* stream) {
        for_width(n.D, [&](auto tile, auto width) {
          constexpr int D = decltype(width)::value;
          launch_with(read_backward_kernel<D>, tile.kMemory + D + 2 * tile.kValues + kTile, grid_of(n, 1), kTileThreads, stream, dy,
                      q, local, gate, M, z, d_q, d_local, d_gate, dM, dz, n);
        });
      },
      [](Rows k, Rows v, const float* weight, const float* dM, const float* dz, MutableRows d_k, MutableRows d_v, MemorySizes n,
         void* stream) {
        for_width(n.D, [&](auto tile, auto width) {
          constexpr int D = decltype(width)::value;
          launch_with(add_backward_kernel<D>, tile.kMemory + D + 2 * tile.kValues, grid_of(n, n.N), kTileThreads, stream, k, v,
                      weight, dM, dz, d_k, d_v, n);
        });
      },
      [](float* x, int64_t outer, int64_t count, int64_t inner, bool is_back, void* stream) {
        launch(scan_kernel, blocks_of_threads(outer * inner / 4), kThreads, stream, x, outer, count, inner, is_back);
      },
  };
  return out;
}

}  // namespace longview::kernels
