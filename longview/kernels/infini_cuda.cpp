// Infini-attention on an NVIDIA GPU: library attention and matrix products, and between them the fused passes of liblongview_cuda.so. What
// training uses: bf16 operands, the linear rule, elu1, one text a row. In training the products of the memory are TF32, else f32.
#include <ATen/Context.h>
#include <torch/csrc/autograd/custom_function.h>

#include "longview/kernels/cuda_library.h"
#include "longview/kernels/infini_parts.h"

namespace longview::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const MemoryLaunches& memory_kernels() { return cuda_library()->memory; }

/// Matrix products in TF32 as long as it lives.
class InTf32 {
 public:
  explicit InTf32(bool wanted)
      : is_changed_(wanted && at::globalContext().float32MatmulPrecision() == at::Float32MatmulPrecision::HIGHEST) {
    if (is_changed_) at::globalContext().setFloat32MatmulPrecision("high");
  }
  ~InTf32() {
    if (is_changed_) at::globalContext().setFloat32MatmulPrecision("highest");
  }
  InTf32(const InTf32&) = delete;
  InTf32& operator=(const InTf32&) = delete;

 private:
  bool is_changed_;
};

struct Sizes {
  int64_t B, G, S, R, N, D;
  int64_t rows() const { return B * G * S * R * N; }
  int64_t keys() const { return B * G * S * N; }
};

Sizes sizes_of(const Tensor& local) {
  return {local.size(0), local.size(1), local.size(2), local.size(3), local.size(4), local.size(5)};
}

Tensor wide(const Tensor& x, at::IntArrayRef sizes) { return at::empty(sizes, x.options().dtype(at::kFloat)); }
float* data(const Tensor& x) { return x.data_ptr<float>(); }

struct Sigma {
  Tensor rows, c;  // [B,G,S,T,D] f32; [B,G,S,T] against z
};

/// x [B,G,S,T,D], z [B,G,S,D] or undefined.
Sigma sigma_of(const Tensor& x, const Tensor& z) {
  Sigma out{wide(x, x.sizes()), z.defined() ? wide(x, x.sizes().slice(0, 4)) : Tensor()};
  memory_kernels().features(x.data_ptr(), z.defined() ? data(z) : nullptr, data(out.rows), z.defined() ? data(out.c) : nullptr,
                            x.numel() / x.size(-1), x.size(3), x.size(-1), stream_of(x));
  return out;
}

/// sum over T of weight[...,T] x[...,T,D] -> [B,G,S,D]
Tensor sum_rows(const Tensor& x, const Tensor& weight) {
  Tensor out = wide(x, {x.size(0), x.size(1), x.size(2), x.size(4)});
  memory_kernels().sum_rows(data(x), weight.defined() ? data(weight) : nullptr, data(out), x.numel() / x.size(-1), x.size(3),
                            x.size(-1), stream_of(x));
  return out;
}

/// (grad + weight z) sigma'(x)
Tensor sigma_backward(const Tensor& x, const Tensor& grad, const Tensor& weight, const Tensor& z) {
  Tensor out = at::empty_like(x);
  memory_kernels().features_backward(x.data_ptr(), data(grad), weight.defined() ? data(weight) : nullptr, data(z), out.data_ptr(),
                                     x.numel() / x.size(-1), x.size(3), x.size(-1), stream_of(x));
  return out;
}

/// Autograd takes no undefined tensors: one without values stands for them.
Tensor or_empty(const Tensor& x, const at::TensorOptions& options) { return x.defined() ? x : at::empty({0}, options); }
Tensor or_undefined(const Tensor& x) { return x.numel() > 0 ? x : Tensor(); }

/// x [B,G,S,N,D], each token as often as it is written: weight [B,G,S,N] or undefined.
Tensor weighted(const Tensor& x, const Tensor& weight) { return weight.defined() ? x * weight.unsqueeze(-1) : x; }

/// (q [B,G,S,R*N,D], k, v [B,G,S,N,D], local [B,G,S,R,N,D], gate [B,G,S,R] f32, M, z, weight [B,G,S,N] f32 or empty) -> (out as
/// local, M and z at the end).
struct ReadWriteMix : torch::autograd::Function<ReadWriteMix> {
  static variable_list forward(AutogradContext* context, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& local,
                               const Tensor& gate, const Tensor& M, const Tensor& z, const Tensor& times, bool is_training) {
    const Tensor weight = or_undefined(times);
    const InTf32 guard(is_training);
    const Sizes n = sizes_of(local);
    Tensor Ms, zs;  // [B,G,S+1,D,D] [B,G,S+1,D]
    {
      const Tensor sk = sigma_of(k, {}).rows;  // [B,G,S,N,D]
      Ms = prefix(M, at::matmul(sk.transpose(-1, -2), weighted(v.to(at::kFloat), weight)), {});
      zs = prefix(z, sum_rows(sk, weight), {});
    }
    const Tensor before = Ms.narrow(2, 0, n.S), sums = zs.narrow(2, 0, n.S).contiguous();  // [B,G,S,D,D] [B,G,S,D]
    const auto [sq, c] = sigma_of(q, sums);
    const Tensor num = at::matmul(sq, before), out = at::empty_like(local);  // [B,G,S,R*N,D] [B,G,S,R,N,D]
    memory_kernels().mix(data(num), data(c), local.data_ptr(), data(gate), out.data_ptr(), n.rows(), n.N, n.D, stream_of(q));
    context->save_for_backward({q, k, v, local, gate, Ms, zs, times});
    return {out, Ms.select(2, n.S).clone(), zs.select(2, n.S).clone()};
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const InTf32 guard(true);
    const auto saved = context->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2], &local = saved[3], &gate = saved[4], &Ms = saved[5], &zs = saved[6];
    const Tensor weight = or_undefined(saved[7]);
    const Sizes n = sizes_of(local);
    const Tensor before = Ms.narrow(2, 0, n.S), sums = zs.narrow(2, 0, n.S).contiguous();  // [B,G,S,D,D] [B,G,S,D]
    const auto or_zeros = [](const Tensor& grad, const Tensor& like) { return grad.defined() ? grad : at::zeros_like(like); };
    const Tensor dy = or_zeros(grads[0], local).contiguous();  // [B,G,S,R,N,D]
    const auto [sq, c] = sigma_of(q, sums);
    const Tensor num = at::matmul(sq, before);  // [B,G,S,R*N,D]
    const Tensor d_local = at::empty_like(local), d_num = at::empty_like(num);
    const Tensor s = wide(q, {n.B, n.G, n.S, n.R * n.N}), d_gate = wide(q, {n.B, n.G, n.S, n.R, n.N});
    memory_kernels().mix_backward(dy.data_ptr(), data(num), data(c), local.data_ptr(), data(gate), d_local.data_ptr(), data(d_num),
                                  data(s), data(d_gate), n.rows(), n.N, n.D, stream_of(q));
    const Tensor dM = suffix(or_zeros(grads[1], Ms.select(2, 0)), at::matmul(sq.transpose(-1, -2), d_num), {});  // [B,G,S+1,D,D]
    const Tensor dz = suffix(or_zeros(grads[2], zs.select(2, 0)), sum_rows(sq, s), {});                          // [B,G,S+1,D]
    const Tensor d_q = sigma_backward(q, at::matmul(d_num, before.transpose(-1, -2)), s, sums);
    const Tensor after_M = dM.narrow(2, 1, n.S), after_z = dz.narrow(2, 1, n.S).contiguous();
    const Tensor d_v = weighted(at::matmul(sigma_of(k, {}).rows, after_M), weight).to(v.scalar_type());
    const Tensor d_sk = weighted(at::matmul(v.to(at::kFloat), after_M.transpose(-1, -2)), weight);  // [B,G,S,N,D]
    const Tensor d_k = sigma_backward(k, d_sk, weight, after_z);
    return {d_q, d_k, d_v, d_local, d_gate.sum(-1), dM.select(2, 0), dz.select(2, 0), {}, {}};
  }
};

}  // namespace

std::string infini_cuda_refusal(const InfiniOperands& x, const InfiniRules& rules) {
  if (!x.q.is_cuda()) return "the tensors are not on an NVIDIA GPU";
  for (const auto* tensor : {&x.q, &x.k, &x.v})
    if (tensor->scalar_type() != at::kBFloat16) return "q, k and v are not bf16";
  if (rules.memory.write != WriteRule::linear || rules.memory.features != FeatureMap::elu1 || rules.memory.read != ReadRule::plain)
    return "only the linear rule with elu1 and plain reads is fused";
  if (x.document.defined()) return "packed texts are not fused";
  if (x.q.size(2) == 0 || x.q.size(2) % rules.segment != 0) return "the text does not end with a segment";
  if (x.q.size(3) % 4 != 0) return "heads are not a multiple of 4 wide";
  return cuda_refusal();
}

InfiniResult infini_cuda(const InfiniOperands& x, const InfiniRules& rules) {
  const int64_t B = x.q.size(0), H = x.q.size(1), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1), R = H / G, N = rules.segment;
  const auto options = x.q.options().dtype(at::kFloat);
  const Segments parts = cut(x, rules);
  const int64_t S = parts.S;
  const Tensor M = x.memory.M.defined() ? x.memory.M : at::zeros({B, G, D, D}, options);
  const Tensor z = x.memory.z.defined() ? x.memory.z : at::zeros({B, G, D}, options);
  const Tensor n = x.memory.n.defined() ? x.memory.n.to(options) : at::zeros({B}, options);  // [B]
  Tensor weight, counts;                                                                     // [B,G,S,N] [B,S+1]
  if (parts.weight.defined()) {
    const Tensor own = parts.weight.to(options).view({B, S, N});
    weight = own.unsqueeze(1).expand({B, G, S, N}).contiguous();
    counts = at::cat({n.unsqueeze(1), own.sum(-1)}, 1).cumsum(1);
  } else {
    counts = n.unsqueeze(1) + static_cast<double>(N) * at::arange(S + 1, options);
  }
  Tensor gate = x.gate.to(options).view({1, G, 1, R}).expand({B, G, S, R});  // [B,G,S,R]
  if (rules.empty == EmptyMemory::bypass) gate = gate * (counts.narrow(1, 0, S) > 0).view({B, 1, S, 1});
  const Tensor local = attend_inside(parts, x, rules).contiguous();  // [B,G,S,R,N,D]
  const bool is_training = c10::GradMode::is_enabled() && (x.q.requires_grad() || x.k.requires_grad() || x.v.requires_grad());
  const auto out =
      ReadWriteMix::apply(parts.q.reshape({B, G, S, R * N, D}).contiguous(), parts.k.contiguous(), parts.v.contiguous(), local,
                          gate.contiguous(), M, z, or_empty(weight, options), is_training);
  return {joined(out[0], T), {out[1], out[2], counts.select(1, S)}};
}

}  // namespace longview::kernels
