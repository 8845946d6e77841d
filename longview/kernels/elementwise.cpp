// RMS norm, SwiGLU's gate and cross-entropy, a row at a time.
#include "longview/kernels/elementwise.h"

#include "longview/kernels/gradients.h"
#include "longview/kernels/loops.h"

namespace longview::kernels {
namespace {

constexpr int64_t kGrain = 32;  // rows worth a thread

void check_plain(std::string_view where, const Tensor& x) {
  LV_CHECK(x.scalar_type() == at::kFloat && x.device().is_cpu() && x.is_contiguous(),
           "[{}] needs contiguous f32 on the CPU; got {}", where, shape_text(x));
}

bool has_gradient(const Tensor& x) { return c10::GradMode::is_enabled() && x.requires_grad(); }

/// Whether our loops serve it.
bool is_plain(const Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat && !has_gradient(x); }

}  // namespace

Tensor add(Tensor x, const Tensor& y) {
  if (has_gradient(x) || has_gradient(y)) return x + y;
  return x.add_(y);
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon, std::optional<at::ScalarType> type) {
  if (has_gradient(x) || has_gradient(weight)) return norm_with_gradient(x, weight, epsilon, type.value_or(x.scalar_type())).y;
  if (!is_plain(x)) {
    const Tensor out = at::rms_norm(x, {x.size(-1)}, weight.to(x.scalar_type()), epsilon);
    return type ? out.to(*type) : out;
  }
  check_plain("rms_norm", x);
  const int64_t E = x.size(-1), rows = E > 0 ? x.numel() / E : 0;
  Tensor out = at::empty_like(x);  // [...,E]
  const float *in = x.data_ptr<float>(), *w = weight.data_ptr<float>();
  float* to = out.data_ptr<float>();
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) loops().norm_row(in + r * E, w, E, static_cast<float>(epsilon), to + r * E);
  });
  return type ? out.to(*type) : out;
}

std::pair<Tensor, Tensor> norm_beside(const Tensor& x, const Tensor& weight, double epsilon, std::optional<at::ScalarType> type) {
  if (!has_gradient(x) && !has_gradient(weight)) return {x, rms_norm(x, weight, epsilon, type)};
  const auto out = norm_with_gradient(x, weight, epsilon, type.value_or(x.scalar_type()));
  return {out.x, out.y};
}

Tensor silu_times(Tensor gate, const Tensor& up) {
  if (has_gradient(gate) || has_gradient(up)) return gate_with_gradient(gate, up);
  if (!is_plain(gate)) return at::silu_(gate).mul_(up);
  check_plain("silu_times", gate);
  check_plain("silu_times", up);
  const int64_t F = gate.size(-1), rows = F > 0 ? gate.numel() / F : 0;
  float* g = gate.data_ptr<float>();
  const float* u = up.data_ptr<float>();
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) loops().gate_row(g + r * F, u + r * F, F);
  });
  return gate;
}

Tensor nll(const Tensor& logits, const Tensor& targets) {
  Shapes("nll")("logits", logits, "T V")("targets", targets, "T");
  if (!logits.device().is_cpu()) {
    const Tensor there = targets.to(logits.device()).unsqueeze(-1);                                              // [T,1]
    return (logits.to(at::kDouble).logsumexp(-1) - logits.gather(-1, there).squeeze(-1).to(at::kDouble)).cpu();  // [T]
  }
  check_plain("nll", logits);
  const int64_t T = logits.size(0), V = logits.size(1);
  Tensor out = at::empty({T}, at::kDouble);  // [T]
  const float* x = logits.data_ptr<float>();
  const Tensor side_by_side = targets.contiguous();  // [T]
  const auto* target = side_by_side.data_ptr<int64_t>();
  double* to = out.data_ptr<double>();
  at::parallel_for(0, T, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      LV_CHECK(target[t] >= 0 && target[t] < V, "[nll] target {} is outside the vocabulary of {}", target[t], V);
      to[t] = loops().log_sum_exp(x + t * V, V) - static_cast<double>(x[t * V + target[t]]);
    }
  });
  return out;
}

}  // namespace longview::kernels
