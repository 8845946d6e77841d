// Norm, gate and rotation as functions of autograd.
#include "longview/kernels/gradients.h"

#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include "longview/kernels/cuda_library.h"

namespace longview::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kParts = 64;  // of the rows, whatever the number of threads: sums do not depend on it

bool is_fused(const Tensor& x) { return x.is_cuda() && cuda_library() != nullptr; }
const RowLaunches& row_kernels() { return cuda_library()->rows; }

/// begin and end of part n of the rows.
std::pair<int64_t, int64_t> part(int64_t n, int64_t rows) { return {n * rows / kParts, (n + 1) * rows / kParts}; }

template <class Body>
void in_parts(const Body& body) {
  at::parallel_for(0, kParts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) body(n);
  });
}

template <class In, class Out>
using Wide = std::conditional_t<std::is_same_v<In, double>, double, float>;

template <class In, class Out>
void norm_rows(const Tensor& x, const Tensor& weight, double epsilon, const Tensor& y, const Tensor& inverse) {
  using W = Wide<In, Out>;
  const int64_t E = x.size(-1), rows = x.numel() / E;
  const auto* from = x.const_data_ptr<In>();
  const auto* w = weight.const_data_ptr<W>();
  auto* to = y.data_ptr<Out>();
  auto* r = inverse.data_ptr<W>();
  in_parts([&](int64_t n) {
    const auto [begin, end] = part(n, rows);
    for (int64_t row = begin; row < end; ++row) {
      const In* v = from + row * E;
      W sum = 0;
      for (int64_t e = 0; e < E; ++e) sum += static_cast<W>(v[e]) * static_cast<W>(v[e]);
      r[row] = 1 / std::sqrt(sum / static_cast<W>(E) + static_cast<W>(epsilon));
      for (int64_t e = 0; e < E; ++e) to[row * E + e] = static_cast<Out>(static_cast<W>(v[e]) * r[row] * w[e]);
    }
  });
}

template <class In, class Out>
void norm_rows_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& inverse, const Tensor& passed,
                        const Tensor& dx, const Tensor& parts) {
  using W = Wide<In, Out>;
  const int64_t E = x.size(-1), rows = x.numel() / E;
  const auto* from = x.const_data_ptr<In>();
  const auto* grads = dy.const_data_ptr<Out>();
  const auto *w = weight.const_data_ptr<W>(), *inverses = inverse.const_data_ptr<W>();
  const auto* more = passed.defined() ? passed.const_data_ptr<In>() : nullptr;
  auto* to = dx.data_ptr<In>();
  in_parts([&](int64_t n) {
    const auto [begin, end] = part(n, rows);
    auto* sum = parts.data_ptr<W>() + n * E;
    for (int64_t row = begin; row < end; ++row) {
      const In* v = from + row * E;
      const Out* g = grads + row * E;
      const W r = inverses[row];
      W along = 0;
      for (int64_t e = 0; e < E; ++e) {
        const W product = static_cast<W>(g[e]) * static_cast<W>(v[e]);
        sum[e] += product * r, along += product * w[e];
      }
      along *= r * r / static_cast<W>(E);
      for (int64_t e = 0; e < E; ++e) {
        const W own = r * (static_cast<W>(g[e]) * w[e] - static_cast<W>(v[e]) * along);
        to[row * E + e] = static_cast<In>(more != nullptr ? own + static_cast<W>(more[row * E + e]) : own);
      }
    }
  });
}

/// Calls f<In,Out> for the pairs of types that there are.
template <class F>
void for_types(at::ScalarType in, at::ScalarType out, const F& f) {
  if (in == at::kFloat && out == at::kFloat) return f(float(), float());
  if (in == at::kFloat && out == at::kBFloat16) return f(float(), at::BFloat16());
  if (in == at::kBFloat16 && out == at::kBFloat16) return f(at::BFloat16(), at::BFloat16());
  LV_CHECK(in == at::kDouble && out == at::kDouble, "[norm] there is none from {} to {}", at::toString(in), at::toString(out));
  f(double(), double());
}

/// Whether four numbers at a time can be read.
bool is_aligned(const Tensor& x) { return reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0; }

/// (x, weight) -> (x, y)
struct Norm : torch::autograd::Function<Norm> {
  static variable_list forward(AutogradContext* context, const Tensor& in, const Tensor& given, double epsilon, int64_t type) {
    const auto out = static_cast<at::ScalarType>(type);
    const Tensor x = in.contiguous(), weight = is_aligned(given) ? given : given.clone();  // parameters lie side by side
    const int64_t E = x.size(-1), rows = E > 0 ? x.numel() / E : 0;
    const Tensor y = at::empty(x.sizes(), x.options().dtype(out)), inverse = at::empty({rows}, weight.options());
    if (x.is_cuda())
      row_kernels().norm(x.const_data_ptr<float>(), weight.const_data_ptr<float>(), y.data_ptr(), inverse.data_ptr<float>(), rows,
                         E, static_cast<float>(epsilon), stream_of(x));
    else
      for_types(x.scalar_type(), out, [&](auto a, auto b) { norm_rows<decltype(a), decltype(b)>(x, weight, epsilon, y, inverse); });
    context->save_for_backward({x, weight, inverse});
    return {in, y};
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &inverse = saved[2];
    if (!grads[1].defined()) return {grads[0], {}, {}, {}};
    const Tensor dy = grads[1].contiguous(), passed = grads[0].defined() ? grads[0].contiguous() : Tensor();
    const int64_t E = x.size(-1), rows = E > 0 ? x.numel() / E : 0;
    const Tensor dx = at::empty_like(x),
                 parts = x.is_cuda() ? at::empty({kNormParts, E}, weight.options()) : at::zeros({kParts, E}, weight.options());
    if (x.is_cuda())
      row_kernels().norm_backward(dy.const_data_ptr(), x.const_data_ptr<float>(), weight.const_data_ptr<float>(),
                                  inverse.const_data_ptr<float>(), passed.defined() ? passed.const_data_ptr<float>() : nullptr,
                                  dx.data_ptr<float>(), parts.data_ptr<float>(), rows, E, stream_of(x));
    else
      for_types(x.scalar_type(), dy.scalar_type(),
                [&](auto a, auto b) { norm_rows_backward<decltype(a), decltype(b)>(dy, x, weight, inverse, passed, dx, parts); });
    return {dx, parts.sum(0), {}, {}};
  }
};

struct Gate : torch::autograd::Function<Gate> {
  static Tensor forward(AutogradContext* context, const Tensor& gate, const Tensor& up) {
    context->save_for_backward({gate, up});
    if (!is_fused(gate) || gate.numel() % 4 != 0) return at::silu(gate).mul_(up);
    const Tensor out = at::empty_like(gate);
    row_kernels().gate(gate.const_data_ptr(), up.const_data_ptr(), out.data_ptr(), gate.numel(), stream_of(gate));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &gate = saved[0], &up = saved[1], dy = grads[0].contiguous();
    if (!is_fused(gate) || gate.numel() % 4 != 0) return {at::silu_backward(dy * up, gate), at::silu(gate).mul_(dy)};
    const Tensor d_gate = at::empty_like(gate), d_up = at::empty_like(up);
    row_kernels().gate_backward(dy.const_data_ptr(), gate.const_data_ptr(), up.const_data_ptr(), d_gate.data_ptr(), d_up.data_ptr(),
                                gate.numel(), stream_of(gate));
    return {d_gate, d_up};
  }
};

struct Products : torch::autograd::Function<Products> {
  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& a, const Tensor& b,
                               const std::optional<Tensor>& c) {
    context->save_for_backward(c ? variable_list{x, a, b, *c} : variable_list{x, a, b});
    variable_list out{at::linear(x, a), at::linear(x, b)};
    if (c) out.push_back(at::linear(x, *c));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor x = saved[0].reshape({-1, saved[0].size(-1)});  // [T,I]
    Tensor dx;
    variable_list out(4);
    for (size_t n = 0; n < grads.size(); ++n) {
      if (!grads[n].defined()) continue;
      const Tensor dy = grads[n].reshape({x.size(0), -1});  // [T,O]
      if (context->needs_input_grad(n + 1)) out[n + 1] = at::mm(dy.t(), x);
      if (!context->needs_input_grad(0)) continue;
      dx = dx.defined() ? dx.addmm_(dy, saved[n + 1]) : at::mm(dy, saved[n + 1]);
    }
    if (dx.defined()) out[0] = dx.view(saved[0].sizes());
    return out;
  }
};

/// x's rows in the order of memory: `beside` rows after each other are of one of the places.
template <class Value, class Angle>
void rotate_rows(const Tensor& x, int64_t beside, const Tensor& cos, const Tensor& sin, bool is_back, const Tensor& out) {
  using W = Wide<Value, Value>;
  const int64_t M = cos.size(-1), per = cos.size(0), rows = x.numel() / (2 * M);
  const auto* from = x.const_data_ptr<Value>();
  const auto *c = cos.const_data_ptr<Angle>(), *s = sin.const_data_ptr<Angle>();
  auto* to = out.data_ptr<Value>();
  const W sign = is_back ? -1 : 1;
  in_parts([&](int64_t n) {
    const auto [begin, end] = part(n, rows);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t place = row / beside % per;
      const Value *a = from + row * 2 * M, *b = a + M;
      const Angle *cs = c + place * M, *sn = s + place * M;
      Value *first = to + row * 2 * M, *second = first + M;
      for (int64_t m = 0; m < M; ++m) {
        const W u = static_cast<W>(a[m]), v = static_cast<W>(b[m]), cosine = static_cast<W>(cs[m]),
                sine = sign * static_cast<W>(sn[m]);
        first[m] = static_cast<Value>(u * cosine - v * sine), second[m] = static_cast<Value>(v * cosine + u * sine);
      }
    }
  });
}

/// Whether its places follow each other in memory with as many rows between each two, so that it can be rotated where it lies.
bool is_regular(const Tensor& x) {
  const int64_t D = x.size(-1), step = x.stride(-2);
  if (x.numel() == 0 || x.stride(-1) != 1 || !x.is_non_overlapping_and_dense() || step % D != 0) return false;
  int64_t inside = D;  // values of what lies within one place
  for (int64_t d = 0; d + 2 < x.dim(); ++d)
    if (x.stride(d) < step) inside *= x.size(d);
  return inside == step;
}

/// A rotation's transpose is the rotation back. What comes out lies in memory as x does.
Tensor rotated(const Tensor& in, const Tensor& cos, const Tensor& sin, bool is_back) {
  const Tensor x = is_regular(in) ? in : in.contiguous(), out = at::empty_like(x);
  const int64_t beside = x.numel() > 0 ? x.stride(-2) / x.size(-1) : 1;
  if (x.is_cuda()) {
    const int64_t M = cos.size(-1);
    row_kernels().rotate(x.const_data_ptr(), cos.const_data_ptr<float>(), sin.const_data_ptr<float>(), out.data_ptr(),
                         x.numel() / (2 * M), beside, cos.size(0), M, is_back, stream_of(x));
  } else if (x.scalar_type() == at::kDouble) {
    rotate_rows<double, double>(x, beside, cos, sin, is_back, out);
  } else if (x.scalar_type() == at::kBFloat16) {
    rotate_rows<at::BFloat16, float>(x, beside, cos, sin, is_back, out);
  } else {
    rotate_rows<float, float>(x, beside, cos, sin, is_back, out);
  }
  return out;
}

struct Rotate : torch::autograd::Function<Rotate> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& cos, const Tensor& sin) {
    context->save_for_backward({cos, sin});
    return rotated(x, cos, sin, false);
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    return {rotated(grads[0], saved[0], saved[1], true), {}, {}};
  }
};

bool is_served(at::ScalarType type) { return type == at::kFloat || type == at::kDouble || type == at::kBFloat16; }

}  // namespace

Normed norm_with_gradient(const Tensor& x, const Tensor& weight, double epsilon, at::ScalarType type) {
  const int64_t E = x.size(-1);
  const bool is_wide = weight.scalar_type() == (type == at::kDouble ? at::kDouble : at::kFloat) && weight.is_contiguous();
  const bool is_ours =
      x.is_cuda() ? is_fused(x) && x.scalar_type() == at::kFloat && type == at::kBFloat16 && E % 4 == 0 && E <= kMostNormWidth
                  : is_served(type) && (x.scalar_type() == type || x.scalar_type() == at::kFloat) &&
                        (type == at::kDouble) == (x.scalar_type() == at::kDouble);
  if (!is_wide || !is_ours) return {x, at::rms_norm(x, {E}, weight.to(x.scalar_type()), epsilon).to(type)};
  const auto out = Norm::apply(x, weight, epsilon, static_cast<int64_t>(type));
  return {out[0], out[1]};
}

Tensor gate_with_gradient(const Tensor& gate, const Tensor& up) { return Gate::apply(gate.contiguous(), up.contiguous()); }

std::vector<Tensor> products_with_gradient(const Tensor& x, const std::vector<Tensor>& weights) {
  return Products::apply(x, weights.at(0), weights.at(1), weights.size() > 2 ? std::optional(weights[2]) : std::nullopt);
}

Tensor rotate_with_gradient(const Tensor& x, const Rotation& rotation) {
  const auto type = x.scalar_type();
  const bool is_whole = rotation.cos.defined() && x.size(-1) == 2 * rotation.cos.size(-1) && x.size(-2) == rotation.cos.size(0);
  const bool is_ours = x.is_cuda() ? is_fused(x) && type == at::kBFloat16 && rotation.cos.size(-1) % 4 == 0 : is_served(type);
  if (!is_whole || !is_ours) return rotate(x, rotation);
  const auto wide = x.options().dtype(type == at::kDouble ? at::kDouble : at::kFloat).requires_grad(false);
  return Rotate::apply(x, rotation.cos.to(wide).contiguous(), rotation.sin.to(wide).contiguous());
}

}  // namespace longview::kernels
