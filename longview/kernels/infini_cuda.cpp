// Infini-attention on an NVIDIA GPU: library attention inside segments, and the memory by the fused kernels of liblongview_cuda.so. What
// training uses: bf16 operands, the linear rule, elu1, one text a row. Its products are TF32 in training, else nearly f32.
#include <torch/csrc/autograd/custom_function.h>

#include "longview/kernels/cuda_library.h"
#include "longview/kernels/infini_parts.h"

namespace longview::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// x [B,G,S,R,N,D] or [B,G,S,N,D].
Places places_of(const Tensor& x) { return {x.stride(0), x.stride(1), x.stride(2), x.dim() == 6 ? x.stride(3) : 0, x.stride(-2)}; }

/// As it is where kernels can read it: rows of values side by side, each on a boundary of 16 bytes.
Tensor readable(const Tensor& x) {
  bool is_readable = x.stride(-1) == 1 && reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0;
  for (int64_t d = 0; d + 1 < x.dim(); ++d) is_readable = is_readable && x.stride(d) % 8 == 0;
  return is_readable ? x : x.contiguous();
}
Rows rows_of(const Tensor& x) { return {x.const_data_ptr(), places_of(x)}; }
MutableRows written(const Tensor& x) { return {x.data_ptr(), places_of(x)}; }

/// [B,G,S,R,N,D] or [B,G,S,N,D] that lie as layers want them, [B,T,H,D].
Tensor beside(const Tensor& x) {
  if (x.dim() == 5) return at::empty({x.size(0), x.size(2), x.size(3), x.size(1), x.size(4)}, x.options()).permute({0, 3, 1, 2, 4});
  return at::empty({x.size(0), x.size(2), x.size(4), x.size(1), x.size(3), x.size(5)}, x.options()).permute({0, 3, 1, 4, 2, 5});
}

float* data(const Tensor& x) { return x.data_ptr<float>(); }
const float* data_or_null(const Tensor& x) { return x.numel() > 0 ? x.const_data_ptr<float>() : nullptr; }
MemorySizes sizes_of(const Tensor& q) { return {q.size(0), q.size(1), q.size(2), q.size(3), q.size(4), q.size(5)}; }

/// Where the launches go: no stream on the CPU, where tests run the kernels.
void* stream_beside(const Tensor& x) { return x.is_cuda() ? stream_of(x) : nullptr; }

/// (q [B,G,S,R,N,D], k, v [B,G,S,N,D], local as q, gate [B,G,S,R] f32, M, z, weight [B,S,N] f32 or empty) -> (out as q, M and z at the end).
struct ReadWriteMix : torch::autograd::Function<ReadWriteMix> {
  static variable_list forward(AutogradContext* context, const Tensor& queries, const Tensor& keys, const Tensor& values,
                               const Tensor& inside, const Tensor& gate, const Tensor& M, const Tensor& z, const Tensor& weight,
                               const MemoryLaunches* kernels, bool is_training) {
    const Tensor q = readable(queries), k = readable(keys), v = readable(values), local = readable(inside), out = beside(q);
    const MemorySizes n = sizes_of(q);
    const Tensor Ms = at::empty({n.B, n.G, n.S + 1, n.D, n.D}, gate.options()),
                 zs = at::empty({n.B, n.G, n.S + 1, n.D}, gate.options());
    Ms.select(2, 0).copy_(M), zs.select(2, 0).copy_(z);
    void* stream = stream_beside(q);
    kernels->add(rows_of(k), rows_of(v), data_or_null(weight), data(Ms), data(zs), n, !is_training, stream);
    kernels->scan(data(Ms), n.B * n.G, n.S + 1, n.D * n.D, false, stream),
        kernels->scan(data(zs), n.B * n.G, n.S + 1, n.D, false, stream);
    kernels->read(rows_of(q), rows_of(local), data(gate), data(Ms), data(zs), written(out), n, !is_training, stream);
    context->save_for_backward({q, k, v, local, gate, Ms, zs, weight});
    context->saved_data["kernels"] = reinterpret_cast<int64_t>(kernels);
    return {out, Ms.select(2, n.S).clone(), zs.select(2, n.S).clone()};
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2], &local = saved[3], &gate = saved[4], &Ms = saved[5], &zs = saved[6];
    const Tensor& weight = saved[7];
    const auto* kernels = reinterpret_cast<const MemoryLaunches*>(context->saved_data["kernels"].toInt());
    const MemorySizes n = sizes_of(q);
    void* stream = stream_beside(q);
    const Tensor dM = at::empty_like(Ms), dz = at::empty_like(zs), d_gate = at::empty({n.B, n.G, n.S, n.R, n.N}, gate.options());
    const auto end = [&](const Tensor& to, const Tensor& grad) { grad.defined() ? to.copy_(grad) : to.zero_(); };
    end(dM.select(2, n.S), grads[1]), end(dz.select(2, n.S), grads[2]);
    const Tensor dy = grads[0].defined() ? readable(grads[0]) : at::zeros_like(q);
    const Tensor d_q = beside(q), d_local = beside(q), d_k = beside(k), d_v = beside(k);
    kernels->read_backward(rows_of(dy), rows_of(q), rows_of(local), data(gate), data(Ms), data(zs), written(d_q), written(d_local),
                           data(d_gate), data(dM), data(dz), n, stream);
    kernels->scan(data(dM), n.B * n.G, n.S + 1, n.D * n.D, true, stream),
        kernels->scan(data(dz), n.B * n.G, n.S + 1, n.D, true, stream);
    kernels->add_backward(rows_of(k), rows_of(v), data_or_null(weight), data(dM), data(dz), written(d_k), written(d_v), n, stream);
    return {d_q, d_k, d_v, d_local, d_gate.sum(-1), dM.select(2, 0), dz.select(2, 0), {}, {}, {}};
  }
};

}  // namespace

std::string infini_cuda_refusal(const InfiniOperands& x, const InfiniRules& rules) {
  if (!x.q.is_cuda()) return "the tensors are not on an NVIDIA GPU";
  const std::string why = infini_fused_refusal(x, rules);
  return why.empty() ? cuda_refusal() : why;
}

std::string infini_fused_refusal(const InfiniOperands& x, const InfiniRules& rules) {
  for (const auto* tensor : {&x.q, &x.k, &x.v})
    if (tensor->scalar_type() != at::kBFloat16) return "q, k and v are not bf16";
  if (rules.memory.write != WriteRule::linear || rules.memory.features != FeatureMap::elu1 || rules.memory.read != ReadRule::plain)
    return "only the linear rule with elu1 and plain reads is fused";
  if (x.document.defined()) return "packed texts are not fused";
  if (x.q.size(2) == 0 || x.q.size(2) % rules.segment != 0) return "the text does not end with a segment";
  const int64_t D = x.q.size(3);
  return D == 16 || D == 32 || D == 64 || D == 128 ? "" : "heads are not 16, 32, 64 or 128 wide";
}

InfiniResult infini_cuda(const InfiniOperands& x, const InfiniRules& rules) {
  return infini_fused(x, rules, cuda_library()->memory);
}

InfiniResult infini_fused(const InfiniOperands& x, const InfiniRules& rules, const MemoryLaunches& kernels) {
  const int64_t B = x.q.size(0), H = x.q.size(1), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1), R = H / G, N = rules.segment;
  const auto options = x.q.options().dtype(at::kFloat).requires_grad(false);
  const Segments parts = cut(x, rules);
  const int64_t S = parts.S;
  const Tensor M = x.memory.M.defined() ? x.memory.M : at::zeros({B, G, D, D}, options);
  const Tensor z = x.memory.z.defined() ? x.memory.z : at::zeros({B, G, D}, options);
  const Tensor n = x.memory.n.defined() ? x.memory.n.to(options) : at::zeros({B}, options);  // [B]
  const Tensor weight = parts.weight.defined() ? parts.weight.to(options).reshape({B, S, N}).contiguous() : at::empty({0}, options);
  const Tensor counts = parts.weight.defined() ? at::cat({n.unsqueeze(1), weight.sum(-1)}, 1).cumsum(1)
                                               : n.unsqueeze(1) + static_cast<double>(N) * at::arange(S + 1, options);  // [B,S+1]
  Tensor gate = x.gate.to(options.dtype()).view({1, G, 1, R}).expand({B, G, S, R});                                     // [B,G,S,R]
  if (rules.empty == EmptyMemory::bypass) gate = gate * (counts.narrow(1, 0, S) > 0).view({B, 1, S, 1});
  const bool is_training = c10::GradMode::is_enabled() && (x.q.requires_grad() || x.k.requires_grad() || x.v.requires_grad());
  const auto out = ReadWriteMix::apply(parts.q, parts.k, parts.v, attend_inside(parts, x, rules), gate.contiguous(), M, z, weight,
                                       &kernels, is_training);
  return {joined(out[0], T), {out[1], out[2], counts.select(1, S)}};
}

}  // namespace longview::kernels
