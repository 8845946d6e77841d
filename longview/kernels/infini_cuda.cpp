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
MemorySizes sizes_of(const Tensor& q, int64_t late) {
  return {q.size(0), q.size(1), q.size(2), q.size(3), q.size(4), q.size(5), late};
}

/// Where the launches go: no stream on the CPU, where tests run the kernels.
void* stream_beside(const Tensor& x) { return x.is_cuda() ? stream_of(x) : nullptr; }

/// (q [B,G,S,R,N,D], k, v [B,G,S,N,D], local as q, gate [B,G,S,R] f32, M, z, weight [B,S,N] f32 or empty) -> (out as q, M and z at the end).
struct ReadWriteMix : torch::autograd::Function<ReadWriteMix> {
  static variable_list forward(AutogradContext* context, const Tensor& queries, const Tensor& keys, const Tensor& values,
                               const Tensor& inside, const Tensor& gate, const Tensor& M, const Tensor& z, const Tensor& weight,
                               int64_t late, const MemoryLaunches* kernels, bool is_training) {
    const Tensor q = readable(queries), k = readable(keys), v = readable(values), local = readable(inside), out = beside(q);
    const MemorySizes n = sizes_of(q, late);
    const Tensor Ms = at::empty({n.B, n.G, n.S + 1, n.D, n.D}, gate.options()),
                 zs = at::empty({n.B, n.G, n.S + 1, n.D}, gate.options());
    Ms.select(2, 0).copy_(M), zs.select(2, 0).copy_(z);
    void* stream = stream_beside(q);
    kernels->add(rows_of(k), rows_of(v), data_or_null(weight), data(Ms), data(zs), n, !is_training, stream);
    kernels->scan(data(Ms), n.B * n.G, n.S + 1, n.D * n.D, false, stream),
        kernels->scan(data(zs), n.B * n.G, n.S + 1, n.D, false, stream);
    kernels->read(rows_of(q), rows_of(local), data(gate), data(Ms), data(zs), written(out), n, !is_training, stream);
    context->save_for_backward({q, k, v, local, gate, Ms, zs, weight});
    context->saved_data["kernels"] = reinterpret_cast<int64_t>(kernels), context->saved_data["late"] = late;
    return {out, Ms.select(2, n.S).clone(), zs.select(2, n.S).clone()};
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2], &local = saved[3], &gate = saved[4], &Ms = saved[5], &zs = saved[6];
    const Tensor& weight = saved[7];
    const auto* kernels = reinterpret_cast<const MemoryLaunches*>(context->saved_data["kernels"].toInt());
    const MemorySizes n = sizes_of(q, context->saved_data["late"].toInt());
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
    for (const Tensor* grad : {&d_k, &d_v}) grad->select(2, n.S - 1).narrow(2, n.N - n.late, n.late).zero_();  // written by nobody
    kernels->add_backward(rows_of(k), rows_of(v), data_or_null(weight), data(dM), data(dz), written(d_k), written(d_v), n, stream);
    return {d_q, d_k, d_v, d_local, d_gate.sum(-1), dM.select(2, 0), dz.select(2, 0), {}, {}, {}, {}};
  }
};

/// x [B,G,S N,D] -> what segments see of it [B,S (N + O) - O,G,D], rotated if cos and sin are given.
struct View : torch::autograd::Function<View> {
  static Tensor forward(AutogradContext* context, const Tensor& in, const Tensor& cos, const Tensor& sin, int64_t N, int64_t O,
                        const RowLaunches* kernels) {
    const int64_t B = in.size(0), G = in.size(1), S = in.size(2) / N, D = in.size(3);
    const Tensor x = readable(in.view({B, G, S, N, D})), out = at::empty({B, S * (N + O) - O, G, D}, x.options());
    kernels->view(rows_of(x), data_or_null(cos), data_or_null(sin), out.data_ptr(), {B, G, S, N, O, D / 2}, stream_beside(x));
    context->save_for_backward({cos, sin});
    context->saved_data["sizes"] = std::vector<int64_t>{B, G, S, N, O, D};
    context->saved_data["kernels"] = reinterpret_cast<int64_t>(kernels);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto n = context->saved_data["sizes"].toIntVector();
    const auto* kernels = reinterpret_cast<const RowLaunches*>(context->saved_data["kernels"].toInt());
    const int64_t B = n[0], G = n[1], S = n[2], N = n[3], D = n[5];
    const Tensor dy = grads[0].contiguous(), d_x = at::empty({B, S, N, G, D}, dy.options()).permute({0, 3, 1, 2, 4});
    kernels->view_backward(dy.const_data_ptr(), data_or_null(saved[0]), data_or_null(saved[1]), written(d_x),
                           {B, G, S, N, n[4], D / 2}, stream_beside(dy));
    return {d_x.view({B, G, S * N, D}), {}, {}, {}, {}, {}};
  }
};

/// Segments of N queries each, q [B,S N,H,D], over the keys in their views, k and v [B,S (N + O) - O,G,D] -> [B,S N,H,D].
Tensor attend_views(const Tensor& q, const Tensor& k, const Tensor& v, int64_t N, int64_t O) {
  const int64_t B = q.size(0), S = q.size(1) / N, H = q.size(2), D = q.size(3), G = k.size(2);
  if (q.is_cuda()) {
    const auto rows = [&](const Tensor& x) { return x.reshape({-1, x.size(2), D}); };  // [B*T,H,D]
    const Tensor segment = at::arange(B * S + 1, q.options().dtype(at::kInt).requires_grad(false));
    const Tensor begun = at::floor_divide(segment + (S - 1), S);  // texts: each has O keys less than its segments' views
    return std::get<0>(at::_flash_attention_forward(rows(q), rows(k), rows(v), segment * N, segment * (N + O) - begun * O, N, N + O,
                                                    0.0, true, false))
        .view({B, S * N, H, D});
  }
  const auto attend = [&](int64_t first, int64_t count, int64_t before) {  // in tests
    const int64_t from = first == 0 ? 0 : N + (first - 1) * (N + O);
    const auto keys = [&](const Tensor& x) {
      return x.narrow(1, from, count * (before + N))
          .reshape({B * count, before + N, G, D})
          .transpose(1, 2)
          .repeat_interleave(H / G, 1);
    };  // [B*count,H,before+N,D]
    const Tensor queries = q.narrow(1, first * N, count * N).reshape({B * count, N, H, D}).transpose(1, 2);
    const Tensor seen = at::ones({N, before + N}, q.options().dtype(at::kBool).requires_grad(false)).tril(before);
    return at::scaled_dot_product_attention(queries, keys(k), keys(v), seen).transpose(1, 2).reshape({B, count * N, H, D});
  };
  return S == 1 ? attend(0, 1, 0) : at::cat({attend(0, 1, 0), attend(1, S - 1, O)}, 1);
}

/// attend_inside of a text that begins here and overlaps -> [B,G,S,R,N,D].
Tensor attend_inside(const InfiniOperands& x, const InfiniRules& rules, const RowLaunches& kernels) {
  const int64_t B = x.q.size(0), H = x.q.size(1), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1), N = rules.segment,
                O = rules.overlap;
  const Tensor none = at::empty({0}, x.q.options().dtype(at::kFloat).requires_grad(false));
  const auto angles = [&](const Tensor& all, int64_t first) {
    return all.defined() ? all.narrow(0, first, all.size(0) - first).to(at::kFloat).contiguous() : none;
  };
  const Tensor &cos = x.rotation.cos, &sin = x.rotation.sin;
  const Tensor q = View::apply(x.q, angles(cos, O), angles(sin, O), N, 0, &kernels);  // [B,T,H,D]
  const Tensor k = View::apply(x.k, angles(cos, 0), angles(sin, 0), N, O, &kernels),
               v = View::apply(x.v, none, none, N, O, &kernels);
  return attend_views(q, k, v, N, O).view({B, T / N, N, G, H / G, D}).permute({0, 3, 1, 4, 2, 5});
}

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

InfiniResult infini_cuda(const InfiniOperands& x, const InfiniRules& rules) { return infini_fused(x, rules, *cuda_library()); }

InfiniResult infini_fused(const InfiniOperands& operands, const InfiniRules& rules, const CudaLaunches& kernels) {
  const InfiniOperands x = without_sinks_written(operands, rules);
  const int64_t B = x.q.size(0), H = x.q.size(1), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1), R = H / G, N = rules.segment;
  const auto options = x.q.options().dtype(at::kFloat).requires_grad(false);
  const bool is_viewed =
      rules.overlap > 0 && !x.k_before.defined() && (!x.rotation.cos.defined() || 2 * x.rotation.cos.size(-1) == D);
  const int64_t late = is_viewed ? rules.overlap : 0;
  const Segments parts = cut(x, {N, rules.overlap - late, rules.memory, rules.empty});
  const Tensor inside = late == 0         ? attend_inside(parts, x, rules)  // [B,G,S,R,N,D]
                        : rules.sinks > 0 ? attend_inside(cut(x, rules), x, rules)
                                          : attend_inside(x, rules, kernels.rows);
  const int64_t S = parts.S;
  const Tensor M = x.memory.M.defined() ? x.memory.M : at::zeros({B, G, D, D}, options);
  const Tensor z = x.memory.z.defined() ? x.memory.z : at::zeros({B, G, D}, options);
  const Tensor n = x.memory.n.defined() ? x.memory.n.to(options) : at::zeros({B}, options);  // [B]
  const Tensor own = late > 0 ? written_late(x, late) : parts.weight;                        // [B,T]
  const Tensor weight = own.defined() ? own.to(options).reshape({B, S, N}).contiguous() : at::empty({0}, options);
  const Tensor counts = own.defined() ? at::cat({n.unsqueeze(1), weight.sum(-1)}, 1).cumsum(1)
                                      : n.unsqueeze(1) + static_cast<double>(N) * at::arange(S + 1, options);  // [B,S+1]
  Tensor gate = x.gate.to(options.dtype()).view({1, G, 1, R}).expand({B, G, S, R});                            // [B,G,S,R]
  if (rules.empty == EmptyMemory::bypass) gate = gate * (counts.narrow(1, 0, S) > 0).view({B, 1, S, 1});
  const bool is_training = c10::GradMode::is_enabled() && (x.q.requires_grad() || x.k.requires_grad() || x.v.requires_grad());
  const auto out =
      ReadWriteMix::apply(parts.q, parts.k, parts.v, inside, gate.contiguous(), M, z, weight, late, &kernels.memory, is_training);
  return {joined(out[0], T), {out[1], out[2], counts.select(1, S)}};
}

}  // namespace longview::kernels
