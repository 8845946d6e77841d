// Linear layer on the CPU: each panel of 64 outputs is turned into f32 once (many rows) or in registers (few rows), then
// multiplied by register tiles. The additions over the inputs run in order, so a row's result does not depend on its neighbours.
#include <cstdlib>
#include <cstring>

#include "longview/base/cpu.h"
#include "longview/kernels/linear.h"
#include "longview/kernels/simd.h"

namespace longview::kernels {
namespace {

constexpr int64_t kPanel = Weight::kPanel;
constexpr int64_t kFewRows = 4;     // up to here the weights are read once and never stored as f32
constexpr int64_t kRowBlock = 192;  // rows a work item covers: keeps the threads level when there are few panels

struct Panel {  // one panel of a weight, as the kernels see it
  Weight::Form form;
  int64_t inputs, group;
  const uint8_t* data;
  const float *scales, *minimums;  // [inputs/group, 64]
};

Panel panel_of(const Weight& weight, int64_t p) {
  Panel out{weight.form, weight.inputs, weight.group, nullptr, nullptr, nullptr};
  out.data = weight.data.data_ptr<uint8_t>() + p * (weight.data.numel() / weight.panels());
  if (weight.group > 0) {
    const int64_t groups = weight.inputs / weight.group;
    out.scales = weight.scales.data_ptr<float>() + p * groups * kPanel;
    out.minimums = weight.minimums.data_ptr<float>() + p * groups * kPanel;
  }
  return out;
}

template <int W>
LV_INLINE typename simd::Lanes<W>::F half_lanes(const uint16_t* at) {
  typedef _Float16 H __attribute__((vector_size(W * 2)));
  H x;
  std::memcpy(&x, at, sizeof x);
  return __builtin_convertvector(x, typename simd::Lanes<W>::F);
}

template <int W>
LV_INLINE typename simd::Lanes<W>::F brain_lanes(const uint16_t* at) {
  typedef uint16_t U __attribute__((vector_size(W * 2)));
  typedef uint32_t V __attribute__((vector_size(W * 4)));
  U x;
  std::memcpy(&x, at, sizeof x);
  const V wide = __builtin_convertvector(x, V) << 16;
  return reinterpret_cast<const typename simd::Lanes<W>::F&>(wide);
}

/// Lanes [lane, lane+W) of input i. scale and minimum are those of i's group.
template <int W, Weight::Form form>
LV_INLINE typename simd::Lanes<W>::F value(const Panel& panel, int64_t i, int lane, typename simd::Lanes<W>::F scale,
                                           typename simd::Lanes<W>::F minimum) {
  using L = simd::Lanes<W>;
  if constexpr (form == Weight::Form::real32) {
    return L::load(reinterpret_cast<const float*>(panel.data) + i * kPanel + lane);
  } else if constexpr (form == Weight::Form::real16) {
    return half_lanes<W>(reinterpret_cast<const uint16_t*>(panel.data) + i * kPanel + lane);
  } else if constexpr (form == Weight::Form::brain16) {
    return brain_lanes<W>(reinterpret_cast<const uint16_t*>(panel.data) + i * kPanel + lane);
  } else if constexpr (form == Weight::Form::codes8) {
    return L::real(L::load(panel.data + i * kPanel + lane)) * scale + minimum;
  } else {
    const auto pair = L::load(panel.data + i * (kPanel / 2) + lane / 32 * 16 + lane % 16);
    return L::real(lane / 16 % 2 == 0 ? pair & 15 : pair >> 4) * scale + minimum;
  }
}

/// Panel to f32 [inputs, 64].
template <int W, Weight::Form form>
LV_INLINE void expand(const Panel& panel, float* out) {
  using L = simd::Lanes<W>;
  const int64_t group = panel.group > 0 ? panel.group : panel.inputs;
  for (int64_t first = 0, g = 0; first < panel.inputs; first += group, ++g)
    for (int lane = 0; lane < kPanel; lane += W) {
      const auto scale = panel.group > 0 ? L::load(panel.scales + g * kPanel + lane) : L::fill(1);
      const auto minimum = panel.group > 0 ? L::load(panel.minimums + g * kPanel + lane) : L::fill(0);
      for (int64_t i = first; i < first + group; ++i) L::store(out + i * kPanel + lane, value<W, form>(panel, i, lane, scale, minimum));
    }
}

/// Few rows: R rows of x times 32 lanes of the panel, the weights expanded in registers.
template <int W, int R, Weight::Form form>
LV_INLINE void few(const Panel& panel, int lane, const float* x, int64_t ldx, float* sums) {
  using L = simd::Lanes<W>;
  constexpr int N = 32 / W;
  typename L::F sum[R][N] = {};
  const int64_t group = panel.group > 0 ? panel.group : panel.inputs;
  for (int64_t first = 0, g = 0; first < panel.inputs; first += group, ++g) {
    typename L::F scale[N], minimum[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      scale[n] = panel.group > 0 ? L::load(panel.scales + g * kPanel + lane + n * W) : L::fill(1);
      minimum[n] = panel.group > 0 ? L::load(panel.minimums + g * kPanel + lane + n * W) : L::fill(0);
    }
#pragma GCC unroll 4
    for (int64_t i = first; i < first + group; ++i)
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const auto w = value<W, form>(panel, i, lane + n * W, scale[n], minimum[n]);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) sum[r][n] += L::fill(x[r * ldx + i]) * w;
      }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) L::store(sums + r * 32 + n * W, sum[r][n]);
}

struct Rows {  // rows of one weight's product that a work item computes
  Panel panel;
  const float* x;
  int64_t rows, ldx;
  const float* bias;  // of the panel, or null
  float* y;           // first row, first lane of the panel
  int64_t ldy, lanes;  // lanes: how many of the 64 exist
  float* expanded;    // scratch [inputs, 64]
  bool is_expanded;   // the scratch already holds this panel
};

LV_INLINE void put(const Rows& job, int64_t row, int64_t first, int64_t count, const float* sums) {
  float* y = job.y + row * job.ldy + first;
  for (int64_t n = 0; n < std::min(count, job.lanes - first); ++n) y[n] = sums[n] + (job.bias != nullptr ? job.bias[first + n] : 0);
}

template <int W, Weight::Form form>
LV_INLINE void multiply_few(const Rows& job, int lane) {
  simd::in_groups<static_cast<int>(kFewRows)>(job.rows, [&]<int R>(int64_t first) __attribute__((always_inline)) {
    float sums[R * 32];
    few<W, R, form>(job.panel, lane, job.x + first * job.ldx, job.ldx, sums);
    for (int r = 0; r < R; ++r) put(job, first + r, lane, 32, sums + r * 32);
  });
}

template <int W, int R, int N, Weight::Form form>
LV_INLINE void multiply_many(const Rows& job) {
  using L = simd::Lanes<W>;
  if (!job.is_expanded) expand<W, form>(job.panel, job.expanded);
  for (int64_t lane = 0; lane < std::min(kPanel, job.lanes); lane += N * W)
    simd::in_groups<R>(job.rows, [&]<int Q>(int64_t first) __attribute__((always_inline)) {
      float sums[Q * N * W];
      simd::tile<W, Q, N>(
          job.panel.inputs, job.x + first * job.ldx, job.ldx, 1, job.expanded + lane, kPanel,
          [](int, int) __attribute__((always_inline)) { return L::fill(0); },
          [&](int r, int n, typename L::F sum) __attribute__((always_inline)) { L::store(sums + r * N * W + n * W, sum); });
      for (int r = 0; r < Q; ++r) put(job, first + r, lane, N * W, sums + r * N * W);
    });
}

template <int W, int R, int N, Weight::Form form>
LV_INLINE void multiply(const Rows& job, int half) {
  if (half >= 0)
    multiply_few<W, form>(job, half * 32);
  else
    multiply_many<W, R, N, form>(job);
}

template <int W, int R, int N>
LV_INLINE void multiply_any(const Rows& job, int half) {
  switch (job.panel.form) {
    case Weight::Form::real32: return multiply<W, R, N, Weight::Form::real32>(job, half);
    case Weight::Form::real16: return multiply<W, R, N, Weight::Form::real16>(job, half);
    case Weight::Form::brain16: return multiply<W, R, N, Weight::Form::brain16>(job, half);
    case Weight::Form::codes8: return multiply<W, R, N, Weight::Form::codes8>(job, half);
    case Weight::Form::codes4: return multiply<W, R, N, Weight::Form::codes4>(job, half);
  }
}

using Multiply = void (*)(const Rows&, int half);
#if defined(__x86_64__)
[[gnu::target("arch=x86-64-v4,prefer-vector-width=512")]] void multiply_avx512(const Rows& job, int half) { multiply_any<16, 12, 2>(job, half); }
[[gnu::target("arch=x86-64-v3")]] void multiply_avx2(const Rows& job, int half) { multiply_any<8, 6, 2>(job, half); }
#endif
void multiply_baseline(const Rows& job, int half) { multiply_any<4, 4, 2>(job, half); }

Multiply chosen() {
#if defined(__x86_64__)
  if (instruction_set() == "avx512") return multiply_avx512;
  if (instruction_set() == "avx2") return multiply_avx2;
#endif
  return multiply_baseline;
}

struct Product {  // one weight of the call
  const Weight* weight;
  Tensor y, bias;
  int64_t first_item;  // work items are counted over all weights
};

Rows rows_of(const Product& product, const Tensor& x, int64_t panel, int64_t first, int64_t count, float* scratch) {
  const Weight& weight = *product.weight;
  Rows job{panel_of(weight, panel), x.data_ptr<float>() + first * x.size(1), count, x.size(1), nullptr, nullptr, weight.outputs,
           weight.outputs - panel * kPanel, scratch, false};
  if (product.bias.defined()) job.bias = product.bias.data_ptr<float>() + panel * kPanel;
  job.y = product.y.data_ptr<float>() + first * weight.outputs + panel * kPanel;
  return job;
}

}  // namespace

std::vector<Tensor> linear(const Tensor& x, std::span<const Weight* const> weights, std::span<const Tensor> biases) {
  static const Multiply run = chosen();
  LV_CHECK(x.dim() >= 1 && x.scalar_type() == at::kFloat && x.device().is_cpu(), "[linear] x must be f32 on the CPU; got {}", shape_text(x));
  const int64_t inputs = x.size(-1), total = inputs > 0 ? x.numel() / inputs : 0;
  const Tensor flat = x.reshape({total, inputs}).contiguous();  // [T,I]
  const bool is_few = total <= kFewRows;
  const int64_t blocks = is_few ? 2 : (total + kRowBlock - 1) / kRowBlock;  // few rows: an item is half a panel
  std::vector<Product> products;
  int64_t items = 0;
  for (size_t w = 0; w < weights.size(); ++w) {
    LV_CHECK(weights[w]->inputs == inputs, "[linear] the weight takes {} inputs; x is {}", weights[w]->inputs, shape_text(x));
    products.push_back({weights[w], at::empty({total, weights[w]->outputs}), w < biases.size() ? biases[w] : Tensor(), items});
    items += weights[w]->panels() * blocks;
  }
  at::parallel_for(0, items, 1, [&](int64_t begin, int64_t end) {
    thread_local std::vector<float> scratch;
    if (!is_few && static_cast<int64_t>(scratch.size()) < inputs * kPanel) scratch.resize(inputs * kPanel);
    size_t w = 0;
    for (int64_t item = begin; item < end; ++item) {
      while (w + 1 < products.size() && item >= products[w + 1].first_item) ++w;
      const int64_t local = item - products[w].first_item, panel = local / blocks, block = local % blocks;
      const int64_t first = is_few ? 0 : block * kRowBlock;
      Rows job = rows_of(products[w], flat, panel, first, std::min(total - first, is_few ? total : kRowBlock), scratch.data());
      job.is_expanded = block > 0 && item > begin;
      run(job, is_few ? static_cast<int>(block) : -1);
    }
  });
  std::vector<Tensor> out;
  auto shape = x.sizes().vec();
  for (auto& product : products) {
    shape.back() = product.weight->outputs;
    out.push_back(product.y.view(shape));  // [...,O]
  }
  return out;
}

}  // namespace longview::kernels
