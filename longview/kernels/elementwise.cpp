// RMS norm, SwiGLU's gate and cross-entropy, a row at a time.
#include "longview/kernels/elementwise.h"

#include "longview/base/cpu.h"
#include "longview/kernels/simd.h"

namespace longview::kernels {
namespace {

template <int W>
LV_INLINE float sum_of(typename simd::Lanes<W>::F x) {
  float out = 0;
  for (int w = 0; w < W; ++w) out += x[w];
  return out;
}

template <int W>
LV_INLINE void norm_row(const float* x, const float* weight, int64_t E, float epsilon, float* out) {
  using L = simd::Lanes<W>;
  typename L::F squares = {};
  int64_t e = 0;
  for (; e + W <= E; e += W) squares += L::load(x + e) * L::load(x + e);
  float sum = sum_of<W>(squares);
  for (; e < E; ++e) sum += x[e] * x[e];
  const float factor = 1 / std::sqrt(sum / static_cast<float>(E) + epsilon);
  for (e = 0; e < E; ++e) out[e] = x[e] * factor * weight[e];
}

template <int W>
LV_INLINE void gate_row(float* gate, const float* up, int64_t F) {
  using L = simd::Lanes<W>;
  int64_t f = 0;
  for (; f + W <= F; f += W) {
    const auto g = L::load(gate + f);
    const auto negated = -g;  // e^-g is bounded so that it stays finite: g / (1 + e^80) is 0 as it should be
    L::store(gate + f, g / (1.0F + L::exp(negated < 80.0F ? negated : L::fill(80))) * L::load(up + f));
  }
  for (; f < F; ++f) gate[f] = gate[f] / (1 + std::exp(std::min(-gate[f], 80.0F))) * up[f];
}

template <int W>
LV_INLINE double log_sum_exp(const float* x, int64_t V) {
  using L = simd::Lanes<W>;
  float maximum = x[0];
  for (int64_t v = 0; v < V; ++v) maximum = std::max(maximum, x[v]);
  double sum = 0;
  int64_t v = 0;
  constexpr int64_t kBlock = 1024;  // partial sums in f32, their sum in f64
  while (v + W <= V) {
    typename L::F part = {};
    for (const int64_t end = std::min(v + kBlock, V); v + W <= end; v += W) part += L::exp(L::load(x + v) - maximum);
    sum += sum_of<W>(part);
  }
  for (; v < V; ++v) sum += std::exp(x[v] - maximum);
  return maximum + std::log(sum);
}

struct Isa {
  void (*norm_row)(const float* x, const float* weight, int64_t E, float epsilon, float* out);
  void (*gate_row)(float* gate, const float* up, int64_t F);
  double (*log_sum_exp)(const float* x, int64_t V);
};

#if defined(__x86_64__)
[[gnu::target("arch=x86-64-v4,prefer-vector-width=512")]] void norm_512(const float* x, const float* w, int64_t E, float e, float* out) { norm_row<16>(x, w, E, e, out); }
[[gnu::target("arch=x86-64-v4,prefer-vector-width=512")]] void gate_512(float* gate, const float* up, int64_t F) { gate_row<16>(gate, up, F); }
[[gnu::target("arch=x86-64-v4,prefer-vector-width=512")]] double sum_512(const float* x, int64_t V) { return log_sum_exp<16>(x, V); }
[[gnu::target("arch=x86-64-v3")]] void norm_256(const float* x, const float* w, int64_t E, float e, float* out) { norm_row<8>(x, w, E, e, out); }
[[gnu::target("arch=x86-64-v3")]] void gate_256(float* gate, const float* up, int64_t F) { gate_row<8>(gate, up, F); }
[[gnu::target("arch=x86-64-v3")]] double sum_256(const float* x, int64_t V) { return log_sum_exp<8>(x, V); }
#endif
void norm_128(const float* x, const float* w, int64_t E, float e, float* out) { norm_row<4>(x, w, E, e, out); }
void gate_128(float* gate, const float* up, int64_t F) { gate_row<4>(gate, up, F); }
double sum_128(const float* x, int64_t V) { return log_sum_exp<4>(x, V); }

const Isa& isa() {
  static const Isa chosen = []() -> Isa {
#if defined(__x86_64__)
    if (instruction_set() == "avx512") return {norm_512, gate_512, sum_512};
    if (instruction_set() == "avx2") return {norm_256, gate_256, sum_256};
#endif
    return {norm_128, gate_128, sum_128};
  }();
  return chosen;
}

constexpr int64_t kGrain = 32;  // rows worth a thread

void check_plain(std::string_view where, const Tensor& x) {
  LV_CHECK(x.scalar_type() == at::kFloat && x.device().is_cpu() && x.is_contiguous(), "[{}] needs contiguous f32 on the CPU; got {}", where,
           shape_text(x));
}

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon) {
  check_plain("rms_norm", x);
  const int64_t E = x.size(-1), rows = E > 0 ? x.numel() / E : 0;
  Tensor out = at::empty_like(x);  // [...,E]
  const float *in = x.data_ptr<float>(), *w = weight.data_ptr<float>();
  float* to = out.data_ptr<float>();
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) isa().norm_row(in + r * E, w, E, static_cast<float>(epsilon), to + r * E);
  });
  return out;
}

Tensor silu_times(Tensor gate, const Tensor& up) {
  check_plain("silu_times", gate);
  check_plain("silu_times", up);
  const int64_t F = gate.size(-1), rows = F > 0 ? gate.numel() / F : 0;
  float* g = gate.data_ptr<float>();
  const float* u = up.data_ptr<float>();
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) isa().gate_row(g + r * F, u + r * F, F);
  });
  return gate;
}

Tensor nll(const Tensor& logits, const Tensor& targets) {
  Shapes("nll")("logits", logits, "T V")("targets", targets, "T");
  check_plain("nll", logits);
  const int64_t T = logits.size(0), V = logits.size(1);
  Tensor out = at::empty({T}, at::kDouble);  // [T]
  const float* x = logits.data_ptr<float>();
  const auto* target = targets.data_ptr<int64_t>();
  double* to = out.data_ptr<double>();
  at::parallel_for(0, T, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      LV_CHECK(target[t] >= 0 && target[t] < V, "[nll] target {} is outside the vocabulary of {}", target[t], V);
      to[t] = isa().log_sum_exp(x + t * V, V) - static_cast<double>(x[t * V + target[t]]);
    }
  });
  return out;
}

}  // namespace longview::kernels
