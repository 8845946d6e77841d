// The row-wise operations of a training step on bf16: norm, SwiGLU's gate, rotation and cross-entropy, each way one trip through memory.
#include "longview/kernels/cuda/lanes.cuh"
#include "longview/kernels/cuda/launches.h"

namespace longview::kernels {
namespace {

__global__ void norm_kernel(const float* x, const float* weight, void* y, float* inverse, int64_t rows, int64_t E, float epsilon) {
  const int64_t row = first_row();
  if (row >= rows) return;
  float sum = 0;
  for (int64_t e = 4 * threadIdx.x; e < E; e += 128) {
    const float4 v = load(x, row * E + e);
    sum += dot(v, v);
  }
  const float r = 1 / sqrtf(over_warp(sum) / static_cast<float>(E) + epsilon);
  if (threadIdx.x == 0) inverse[row] = r;
  for (int64_t e = 4 * threadIdx.x; e < E; e += 128)
    store(y, row * E + e, each(load(x, row * E + e), load(weight, e), [=](float v, float w) { return v * r * w; }));
}

/// A warp takes every so-many-th row and keeps the weight's gradient of its columns; the warps of a block are added up in order.
template <int kColumns>  // groups of 128
__global__ void norm_backward_kernel(const void* dy, const float* x, const float* weight, const float* inverse, const float* passed,
                                     float* dx, float* parts, int64_t rows, int64_t E) {
  __shared__ float4 sums[kWarps][32];
  float4 own[kColumns];
  for (int c = 0; c < kColumns; ++c) own[c] = {0, 0, 0, 0};
  for (int64_t row = first_row(); row < rows; row += static_cast<int64_t>(gridDim.x) * kWarps) {
    const float r = inverse[row];
    float along = 0;
    for (int c = 0; c < kColumns; ++c) {
      const int64_t e = 128 * c + 4 * threadIdx.x;
      if (e >= E) break;
      const float4 g = load(dy, row * E + e), v = load(x, row * E + e);
      own[c] = each(own[c], each(g, v, [=](float a, float b) { return a * b * r; }), [](float a, float b) { return a + b; });
      along += dot(each(g, load(weight, e), [](float a, float b) { return a * b; }), v);
    }
    along = over_warp(along) * r * r / static_cast<float>(E);  // of g w x^ x^ / x
    for (int c = 0; c < kColumns; ++c) {
      const int64_t e = 128 * c + 4 * threadIdx.x;
      if (e >= E) break;
      const float4 g = each(load(dy, row * E + e), load(weight, e), [](float a, float b) { return a * b; });
      float4 out = each(g, load(x, row * E + e), [=](float a, float v) { return r * (a - v * along); });
      if (passed != nullptr) out = each(out, load(passed, row * E + e), [](float a, float b) { return a + b; });
      store(dx, row * E + e, out);
    }
  }
  for (int c = 0; c < kColumns; ++c) {
    sums[threadIdx.y][threadIdx.x] = own[c];
    __syncthreads();
    const int64_t e = 128 * c + 4 * threadIdx.x;
    if (threadIdx.y == 0 && e < E) {
      float4 sum = own[c];
      for (int w = 1; w < kWarps; ++w) sum = each(sum, sums[w][threadIdx.x], [](float a, float b) { return a + b; });
      store(parts, static_cast<int64_t>(blockIdx.x) * E + e, sum);
    }
    __syncthreads();
  }
}

__device__ float sigmoid(float x) { return 1 / (1 + expf(-x)); }

__global__ void gate_kernel(const void* gate, const void* up, void* out, int64_t count) {
  const int64_t i = 4 * first_thread();
  if (i < count) store(out, i, each(load(gate, i), load(up, i), [](float g, float u) { return g * sigmoid(g) * u; }));
}

__global__ void gate_backward_kernel(const void* dy, const void* gate, const void* up, void* d_gate, void* d_up, int64_t count) {
  const int64_t i = 4 * first_thread();
  if (i >= count) return;
  const float4 d = load(dy, i), g = load(gate, i);
  store(d_gate, i, each(each(d, load(up, i), [](float a, float u) { return a * u; }), g, [](float a, float x) {
          const float s = sigmoid(x);
          return a * s * (1 + x * (1 - s));
        }));
  store(d_up, i, each(d, g, [](float a, float x) { return a * x * sigmoid(x); }));
}

/// Four pairs a thread.
/// Four pairs of a row.
struct Pairs {
  float4 first, second;
};
__device__ Pairs pairs(const void* x, int64_t at, int64_t M) { return {load(x, at), load(x, at + M)}; }
__device__ Pairs turned(const Pairs& x, const float* cos, const float* sin, int64_t at, float sign) {
  if (cos == nullptr) return x;
  const float4 c = load(cos, at), s = each(load(sin, at), [=](float v) { return sign * v; });
  const auto product = [](float p, float q) { return p * q; };
  return {each(each(x.first, c, product), each(x.second, s, product), [](float p, float q) { return p - q; }),
          each(each(x.second, c, product), each(x.first, s, product), [](float p, float q) { return p + q; })};
}

__global__ void rotate_kernel(const void* x, const float* cos, const float* sin, void* out, int64_t rows, int64_t beside,
                              int64_t per, int64_t M, float sign) {
  const int64_t i = 4 * first_thread(), row = i / M, m = i % M, place = row / beside % per;
  if (row >= rows) return;
  const Pairs y = turned(pairs(x, row * 2 * M + m, M), cos, sin, place * M + m, sign);
  store(out, row * 2 * M + m, y.first), store(out, row * 2 * M + M + m, y.second);
}

__global__ void view_kernel(Rows x, const float* cos, const float* sin, void* out, ViewSizes n) {
  const int64_t i = 4 * first_thread(), row = i / n.M, m = i % n.M, seen = n.S * (n.N + n.O) - n.O;
  if (row >= n.B * seen * n.G) return;
  const int64_t g = row % n.G, at = row / n.G % seen + n.O, b = row / n.G / seen;  // as if the first segment had O before it too
  const int64_t s = at / (n.N + n.O), place = at % (n.N + n.O), token = place - n.O;
  const int64_t from = b * x.at.batch + g * x.at.group + s * x.at.segment + token * x.at.token;
  const Pairs y = turned(pairs(x.x, from + m, n.M), cos, sin, place * n.M + m, 1);
  store(out, row * 2 * n.M + m, y.first), store(out, row * 2 * n.M + n.M + m, y.second);
}

__global__ void view_backward_kernel(const void* dy, const float* cos, const float* sin, MutableRows d_x, ViewSizes n) {
  const int64_t i = 4 * first_thread(), row = i / n.M, m = i % n.M, seen = n.S * (n.N + n.O) - n.O;
  if (row >= n.B * n.S * n.N * n.G) return;
  const int64_t g = row % n.G, token = row / n.G % n.N, s = row / n.G / n.N % n.S, b = row / n.G / n.N / n.S;
  const auto of_view = [&](int64_t segment, int64_t place) {
    const int64_t from = ((b * seen + segment * (n.N + n.O) + place - n.O) * n.G + g) * 2 * n.M;
    return turned(pairs(dy, from + m, n.M), cos, sin, place * n.M + m, -1);
  };
  Pairs sum = of_view(s, n.O + token);
  if (s + 1 < n.S && token >= n.N - n.O) {  // the next segment sees it too
    const Pairs more = of_view(s + 1, token - (n.N - n.O));
    const auto both = [](float a, float b) { return a + b; };
    sum = {each(sum.first, more.first, both), each(sum.second, more.second, both)};
  }
  const int64_t to = b * d_x.at.batch + g * d_x.at.group + s * d_x.at.segment + token * d_x.at.token;
  store(d_x.x, to + m, sum.first), store(d_x.x, to + n.M + m, sum.second);
}

/// A likeliest class and what is needed for the sum of exponentials.
struct Best {
  float maximum, sum;
  int64_t at;
};
__device__ Best joined(Best a, Best b) {
  const bool is_first = a.maximum > b.maximum || (a.maximum == b.maximum && a.at < b.at);
  const Best& high = is_first ? a : b;
  const Best& low = is_first ? b : a;
  return {high.maximum, high.sum + low.sum * expf(low.maximum - high.maximum), high.at};
}

/// A block a row. The logits become their gradients.
__global__ void cross_entropy_kernel(void* logits, const int64_t* target, const float* share, float* nll, bool* right, int64_t V,
                                     bool has_gradient) {
  __shared__ Best bests[32 * kWarps];
  const int64_t row = blockIdx.x, begin = row * V;
  const int thread = 32 * static_cast<int>(threadIdx.y) + static_cast<int>(threadIdx.x);
  Best own{-3e38F, 0, V};
  for (int64_t v = 4 * thread; v < V; v += 4 * 32 * kWarps) {
    const float4 four = load(logits, begin + v);
    const float values[4] = {four.x, four.y, four.z, four.w};
    for (int n = 0; n < 4; ++n) {
      const float x = values[n];
      if (x > own.maximum) own = {x, own.sum * expf(own.maximum - x) + 1, v + n};
      else own.sum += expf(x - own.maximum);
    }
  }
  bests[thread] = own;
  __syncthreads();
  for (int half = 16 * kWarps; half > 0; half /= 2) {
    if (thread < half) bests[thread] = joined(bests[thread], bests[thread + half]);
    __syncthreads();
  }
  const Best best = bests[0];
  const int64_t wanted = target[row];
  const float total = best.maximum + logf(best.sum);
  if (thread == 0) {
    const float4 four = load(logits, begin + wanted / 4 * 4);
    const float values[4] = {four.x, four.y, four.z, four.w};
    nll[row] = total - values[wanted % 4];
    right[row] = best.at == wanted;
  }
  if (!has_gradient) return;
  __syncthreads();  // its logit was read
  const float counts = share[row];
  for (int64_t v = 4 * thread; v < V; v += 4 * 32 * kWarps) {
    const float4 four = load(logits, begin + v);
    float values[4] = {four.x, four.y, four.z, four.w};
    for (int n = 0; n < 4; ++n) values[n] = counts * (expf(values[n] - total) - (v + n == wanted ? 1.0F : 0.0F));
    store(logits, begin + v, float4{values[0], values[1], values[2], values[3]});
  }
}

}  // namespace

const RowLaunches& row_launches() {
  static const RowLaunches out{
      [](const float* x, const float* weight, void* y, float* inverse, int64_t rows, int64_t E, float epsilon, void* stream) {
        launch(norm_kernel, blocks(rows), kThreads, stream, x, weight, y, inverse, rows, E, epsilon);
      },
      [](const void* dy, const float* x, const float* weight, const float* inverse, const float* passed, float* dx, float* parts,
         int64_t rows, int64_t E, void* stream) {
        const auto run = [&](auto kernel) {
          launch(kernel, static_cast<unsigned>(kNormParts), kThreads, stream, dy, x, weight, inverse, passed, dx, parts, rows, E);
        };
        if (E <= 384) run(norm_backward_kernel<3>);
        else if (E <= 640) run(norm_backward_kernel<5>);
        else if (E <= 1024) run(norm_backward_kernel<8>);
        else run(norm_backward_kernel<kMostNormWidth / 128>);
      },
      [](const void* gate, const void* up, void* out, int64_t count, void* stream) {
        launch(gate_kernel, blocks_of_threads(count / 4), kThreads, stream, gate, up, out, count);
      },
      [](const void* dy, const void* gate, const void* up, void* d_gate, void* d_up, int64_t count, void* stream) {
        launch(gate_backward_kernel, blocks_of_threads(count / 4), kThreads, stream, dy, gate, up, d_gate, d_up, count);
      },
      [](const void* x, const float* cos, const float* sin, void* out, int64_t rows, int64_t beside, int64_t per, int64_t M,
         bool is_back, void* stream) {
        launch(rotate_kernel, blocks_of_threads(rows * M / 4), kThreads, stream, x, cos, sin, out, rows, beside, per, M,
               is_back ? -1.0F : 1.0F);
      },
      [](Rows x, const float* cos, const float* sin, void* out, ViewSizes n, void* stream) {
        launch(view_kernel, blocks_of_threads(n.B * (n.S * (n.N + n.O) - n.O) * n.G * n.M / 4), kThreads, stream, x, cos, sin, out,
               n);
      },
      [](const void* dy, const float* cos, const float* sin, MutableRows d_x, ViewSizes n, void* stream) {
        launch(view_backward_kernel, blocks_of_threads(n.B * n.S * n.N * n.G * n.M / 4), kThreads, stream, dy, cos, sin, d_x, n);
      },
      [](void* logits, const int64_t* target, const float* share, float* nll, bool* right, int64_t rows, int64_t V,
         bool has_gradient, void* stream) {
        launch(cross_entropy_kernel, static_cast<unsigned>(rows), kThreads, stream, logits, target, share, nll, right, V,
               has_gradient);
      },
  };
  return out;
}

}  // namespace longview::kernels
