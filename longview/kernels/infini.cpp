// All segments at once: they are folded into the batch for local attention and for what each adds to the memory; an exclusive
// prefix sum over segments gives the memory before each, and one batched product reads it. The way back has a suffix sum.
#include "longview/kernels/infini_parts.h"

#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <cstdlib>

#include "longview/base/names.h"

namespace longview::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Which tokens read, which are written and whether the memory goes on from segment to segment.
struct Plan {
  int64_t N = 0, S = 0;  // S counts a shorter segment at the end
  Tensor live;           // [B,S,N] 1 where the memory is that of the token's text and not empty
  Tensor weight;         // [B,S,N] how often a token is written
  Tensor stays;          // [B,S] 1 where the memory after a segment goes on from the one before it; undefined: everywhere
  Tensor n;              // [B,S+1] tokens in the memory before each segment, and after the last
};

/// `weight` [B,T] is of the tokens that are written.
Plan plan_of(const InfiniOperands& x, const Tensor& weight, const InfiniRules& rules, const at::TensorOptions& wide) {
  const int64_t B = x.q.size(0), T = x.q.size(2), N = rules.segment, S = (T + N - 1) / N;
  Plan plan{N, S, {}, {}, {}, {}};
  plan.weight = weight.defined() ? weight.to(wide) : at::ones({B, T}, wide);            // [B,T]
  plan.weight = padded(plan.weight.narrow(1, 0, T / N * N), 1, S * N).view({B, S, N});  // a shorter segment is not written
  const Tensor before = x.memory.n.defined() ? x.memory.n.to(wide) : at::zeros({B}, wide);
  if (!x.document.defined()) {
    plan.n = at::cat({before.unsqueeze(1), plan.weight.sum(-1)}, 1).cumsum(1);  // [B,S+1]
    plan.live = (plan.n.narrow(1, 0, S) > 0).to(wide).unsqueeze(-1).expand({B, S, N});
    return plan;
  }
  const Tensor document = padded(x.document, 1, S * N, -1).view({B, S, N});                 // [B,S,N]
  const Tensor last = document.select(2, N - 1);                                            // [B,S]
  const Tensor text = at::cat({x.document.narrow(1, 0, 1), last}, 1);                       // [B,S+1]
  plan.stays = (text.narrow(1, 0, S) == last).to(wide);                                     // [B,S]
  if (T % N != 0) plan.stays.select(1, S - 1).fill_(1);                                     // nothing happens after a shorter one
  plan.weight = plan.weight * (document == last.unsqueeze(-1)).logical_and(document >= 0);  // [B,S,N]
  std::vector<Tensor> counts{before};
  const Tensor added = plan.weight.sum(-1);  // [B,S]
  for (int64_t s = 0; s < S; ++s) counts.push_back(counts.back() * plan.stays.select(1, s) + added.select(1, s));
  plan.n = at::stack(counts, 1);  // [B,S+1]
  plan.live = (document == text.narrow(1, 0, S).unsqueeze(-1)).logical_and(plan.n.narrow(1, 0, S).unsqueeze(-1) > 0).to(wide);
  return plan;
}

/// Tensors of one segment, or of all: [B,G,S,...] at s, or as they are.
struct Cut {
  std::optional<int64_t> s;
  Tensor operator()(const Tensor& x) const { return s ? x.select(2, *s) : x; }
};

/// q [B,G,S,R*N,D], k and v [B,G,S,N,D] -> what the memory says to each q, [B,G,S,R*N,D].
struct MemoryPass {
  const MemoryRules& rules;
  const Plan& plan;
  int64_t R;

  Tensor rows(const Tensor& x) const { return x.unsqueeze(1).repeat({1, 1, 1, R}); }  // [B,S,N] -> [B,1,S,R*N]
  Tensor keys(const Tensor& x) const { return x.unsqueeze(1); }                       // [B,1,S,N]
  Memory before(const Tensor& M, const Tensor& z, const Cut& cut) const {
    return {cut(M.narrow(2, 0, plan.S)), cut(z.narrow(2, 0, plan.S)), cut(plan.n.narrow(1, 0, plan.S).unsqueeze(1))};
  }

  /// The memory before each segment and after the last: M [B,G,S+1,F,D], z [B,G,S+1,F].
  std::pair<Tensor, Tensor> states(const Tensor& k, const Tensor& v, const Tensor& M, const Tensor& z) const {
    const Tensor sk = rules.write == WriteRule::linear ? features(k, rules.features) : Tensor();
    if (sk.defined()) {
      const Memory added = memory_write(sk, v, keys(plan.weight), {}, {}, rules);
      return {prefix(M, added.M, plan.stays), prefix(z, added.z, plan.stays)};
    }
    std::vector<Tensor> Ms{M}, zs{z};
    for (int64_t s = 0; s < plan.S; ++s) {
      const Cut cut{s};
      const Memory old{Ms.back(), zs.back(), plan.n.select(1, s).unsqueeze(1)};
      const Memory added =
          memory_write(features(cut(k), rules.features), cut(v), cut(keys(plan.weight)), old, cut(keys(plan.live)), rules);
      const Tensor stays = plan.stays.defined() ? plan.stays.select(1, s) : Tensor();  // [B]
      Ms.push_back((stays.defined() ? Ms.back() * stays.view({-1, 1, 1, 1}) : Ms.back()) + added.M);
      zs.push_back((stays.defined() ? zs.back() * stays.view({-1, 1, 1}) : zs.back()) + added.z);
    }
    return {at::stack(Ms, 2), at::stack(zs, 2)};
  }

  struct Gradients {
    Tensor q, k, v, M, z;
  };

  /// The linear rule: every segment at once.
  Gradients back_at_once(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& Ms, const Tensor& zs, const Tensor& read,
                         const Tensor& grad, const Tensor& end_M, const Tensor& end_z) const {
    const Cut all{};
    const Memory old = before(Ms, zs, all);
    Gradients out;
    Tensor M, z;
    {
      const auto back = memory_read_backward(grad, features(q, rules.features), old, rows(plan.live), read, rules);
      out.q = features_backward(q, back.sq, rules.features);
      M = suffix(end_M, back.M, plan.stays), z = suffix(end_z, back.z, plan.stays);  // [B,G,S+1,...]
    }
    const auto back = memory_write_backward(M.narrow(2, 1, plan.S), z.narrow(2, 1, plan.S), features(k, rules.features), v,
                                            keys(plan.weight), old, keys(plan.live), rules);
    out.k = features_backward(k, back.sk, rules.features), out.v = back.v;
    out.M = M.select(2, 0), out.z = z.select(2, 0);
    return out;
  }

  /// The delta rules: a scan from the last segment to the first.
  Gradients back_by_segments(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& Ms, const Tensor& zs,
                             const Tensor& read, const Tensor& grad, Tensor M, Tensor z) const {
    std::vector<Tensor> qs, ks, vs;
    for (int64_t s = plan.S - 1; s >= 0; --s) {
      const Cut cut{s};
      const Memory old = before(Ms, zs, cut);
      const auto write = memory_write_backward(M, z, features(cut(k), rules.features), cut(v), cut(keys(plan.weight)), old,
                                               cut(keys(plan.live)), rules);
      const auto back =
          memory_read_backward(cut(grad), features(cut(q), rules.features), old, cut(rows(plan.live)), cut(read), rules);
      const Tensor stays = plan.stays.defined() ? plan.stays.select(1, s) : Tensor();  // [B]
      M = (stays.defined() ? M * stays.view({-1, 1, 1, 1}) : M) + write.M + back.M;
      z = (stays.defined() ? z * stays.view({-1, 1, 1}) : z) + write.z + back.z;
      qs.push_back(features_backward(cut(q), back.sq, rules.features));
      ks.push_back(features_backward(cut(k), write.sk, rules.features)), vs.push_back(write.v);
    }
    for (auto* parts : {&qs, &ks, &vs}) std::reverse(parts->begin(), parts->end());
    return {at::stack(qs, 2), at::stack(ks, 2), at::stack(vs, 2), M, z};
  }
};

/// (q, k, v, M, z) -> (read [B,G,S,R*N,D], M and z after the last segment).
struct ReadAndWrite : torch::autograd::Function<ReadAndWrite> {
  static variable_list forward(AutogradContext* context, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& M,
                               const Tensor& z, const Plan& plan, const MemoryRules& rules) {
    const MemoryPass pass{rules, plan, q.size(3) / plan.N};
    const auto [Ms, zs] = pass.states(k, v, M, z);
    const Tensor read = memory_read(features(q, rules.features), pass.before(Ms, zs, {}), pass.rows(plan.live), rules);
    context->save_for_backward({q, k, v, Ms, zs, read});
    context->saved_data["plan"] =
        std::vector<Tensor>{plan.live, plan.weight, plan.n, plan.stays.defined() ? plan.stays : at::empty({0})};
    context->saved_data["rules"] = std::vector<int64_t>{plan.N, plan.S, static_cast<int64_t>(rules.write),
                                                        static_cast<int64_t>(rules.features), static_cast<int64_t>(rules.read)};
    return {read, Ms.select(2, plan.S).clone(), zs.select(2, plan.S).clone()};
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto tensors = context->saved_data["plan"].toTensorVector();
    const auto numbers = context->saved_data["rules"].toIntVector();
    const Tensor stays = tensors[3].numel() > 0 ? tensors[3] : Tensor();
    const Plan plan{numbers[0], numbers[1], tensors[0], tensors[1], stays, tensors[2]};
    const MemoryRules rules{static_cast<WriteRule>(numbers[2]), static_cast<FeatureMap>(numbers[3]),
                            static_cast<ReadRule>(numbers[4])};
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2], &Ms = saved[3], &zs = saved[4], &read = saved[5];
    const auto or_zeros = [](const Tensor& grad, const Tensor& like) { return grad.defined() ? grad : at::zeros_like(like); };
    const Tensor grad = or_zeros(grads[0], read), M = or_zeros(grads[1], Ms.select(2, 0)), z = or_zeros(grads[2], zs.select(2, 0));
    const MemoryPass pass{rules, plan, q.size(3) / plan.N};
    const auto out = rules.write == WriteRule::linear ? pass.back_at_once(q, k, v, Ms, zs, read, grad, M, z)
                                                      : pass.back_by_segments(q, k, v, Ms, zs, read, grad, M, z);
    return {out.q.to(q.scalar_type()), out.k.to(k.scalar_type()), out.v.to(v.scalar_type()), out.M, out.z, {}, {}};
  }
};

}  // namespace

void check(const InfiniOperands& x, const InfiniRules& rules) {
  Shapes shapes("infini");
  shapes("q", x.q, "B H T D")("k", x.k, "B G T D")("v", x.v, "B G T D")("gate", x.gate, "H");
  LV_CHECK(rules.segment >= 1, "[infini] segment must be at least 1; got {}", rules.segment);
  LV_CHECK(shapes['H'] % shapes['G'] == 0, "[infini] {} query heads do not share {} key heads evenly", shapes['H'], shapes['G']);
  LV_CHECK(rules.overlap >= 0 && rules.overlap <= rules.segment, "[infini] overlap must be 0 to the segment's {}; got {}",
           rules.segment, rules.overlap);
  LV_CHECK((rules.overlap == 0 && rules.sinks == 0) || !x.document.defined(),
           "[infini] an overlap and sinks do not know packed texts");
  LV_CHECK(rules.sinks >= 0 &&
               (rules.overlap == rules.segment ? rules.sinks < rules.segment : rules.sinks <= rules.segment - rules.overlap),
           "[infini] sinks must leave a view all at once: at most the {} tokens of a segment less its overlap of {}; got {}",
           rules.segment, rules.overlap, rules.sinks);
  LV_CHECK(rules.sinks == 0 || x.sink_k.defined() == (x.begun > 0),
           "[infini] sinks belong to a text that goes on; {} of its tokens went before", x.begun);
  const bool is_going_on = x.k_before.defined();
  const std::string O = std::to_string(rules.overlap), view = std::to_string(rules.sinks + rules.overlap + rules.segment),
                    sinks = std::to_string(rules.sinks), F = std::to_string(feature_width(shapes['D'], rules.memory.features));
  if (x.rotation.cos.defined()) shapes("rotation.cos", x.rotation.cos, view + " M")("rotation.sin", x.rotation.sin, view + " M");
  if (is_going_on) shapes("k_before", x.k_before, "B G " + O + " D")("v_before", x.v_before, "B G " + O + " D");
  if (x.sink_k.defined()) shapes("sink_k", x.sink_k, "B G " + sinks + " D")("sink_v", x.sink_v, "B G " + sinks + " D");
  if (x.weight.defined()) shapes("weight", x.weight, fmt::format("B {}", x.q.size(2) + (is_going_on ? rules.overlap : 0)));
  if (x.document.defined()) shapes("document", x.document, "B T");
  if (!x.memory.M.defined()) return;
  shapes("memory.M", x.memory.M, "B G " + F + " D")("memory.z", x.memory.z, "B G " + F)("memory.n", x.memory.n, "B");
}

InfiniResult infini_parallel(const InfiniOperands& operands, const InfiniRules& rules) {
  const InfiniOperands x = without_sinks_written(operands, rules);
  const int64_t B = x.q.size(0), H = x.q.size(1), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1), R = H / G, N = rules.segment;
  const auto wide = x.q.options().dtype(x.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const int64_t F = feature_width(D, rules.memory.features);
  const Tensor M = x.memory.M.defined() ? x.memory.M : at::zeros({B, G, F, D}, wide);
  const Tensor z = x.memory.z.defined() ? x.memory.z : at::zeros({B, G, F}, wide);
  if (T == 0) return {at::empty_like(x.q), {M, z, x.memory.n.defined() ? x.memory.n : at::zeros({B}, wide)}};
  const Segments parts = cut(x, rules);
  const int64_t S = parts.S;
  const Plan plan = plan_of(x, parts.weight, rules, wide);
  const auto passed = ReadAndWrite::apply(parts.q.reshape({B, G, S, R * N, D}), parts.k, parts.v, M, z, plan, rules.memory);
  const Tensor read = passed[0].view({B, G, S, R, N, D}), local = attend_inside(parts, x, rules);  // [B,G,S,R,N,D]
  Tensor gate = x.gate.to(wide).view({1, G, 1, R, 1, 1});                                          // [1,G,1,R,1,1]
  if (rules.empty == EmptyMemory::bypass) gate = gate * plan.live.view({B, 1, S, 1, N, 1});        // [B,G,S,R,N,1]
  const Tensor mixed = (local + gate * (read - local)).to(x.q.scalar_type());                      // [B,G,S,R,N,D]
  return {joined(mixed, T), {passed[1], passed[2], plan.n.select(1, S)}};
}

namespace {

std::string serves_all(const InfiniOperands&, const InfiniRules&) { return ""; }

constexpr std::array kInfiniKernels{
    InfiniKernel{"cuda", "fused passes between the products, bf16 operands, f32 memory", infini_cuda_refusal, infini_cuda},
    InfiniKernel{"parallel", "all segments at once, closed-form gradients, any device and dtype", serves_all, infini_parallel},
    InfiniKernel{"ref", "the definition: segment after segment in plain tensor operations", serves_all, infini_ref},
};

}  // namespace

std::span<const InfiniKernel> infini_kernels() { return kInfiniKernels; }

InfiniResult infini(const InfiniOperands& x, const InfiniRules& rules) {
  check(x, rules);
  static const char* const forced = std::getenv("LONGVIEW_INFINI");
  for (const auto& kernel : kInfiniKernels) {
    if (forced != nullptr && *forced != '\0' && kernel.name != forced) continue;
    const std::string why = kernel.refusal(x, rules);
    if (why.empty()) return kernel.run(x, rules);
    LV_CHECK(forced == nullptr || *forced == '\0', "[infini] LONGVIEW_INFINI={}: {}", kernel.name, why);
  }
  std::vector<std::string> known;
  for (const auto& kernel : kInfiniKernels) known.emplace_back(kernel.name);
  fail("[infini] LONGVIEW_INFINI: {}", unknown_name("kernel", forced, known));
}

}  // namespace longview::kernels
