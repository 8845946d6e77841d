// The definition of Infini-attention: one segment after the other, every row of it at once, letters as in the paper.
#include "longview/kernels/infini.h"

namespace longview::kernels {
namespace {

/// One softmax over the tokens of the segment that are not later and of the same text.
Tensor local(const Tensor& q, const Tensor& k, const Tensor& v, const Rotation& rotation, const Tensor& document) {
  const int64_t n = q.size(2), repeat = q.size(1) / k.size(1);
  Rotation rows = rotation;
  if (rows.cos.defined()) rows = {rotation.cos.narrow(0, 0, n), rotation.sin.narrow(0, 0, n)};
  const Tensor keys = rotate(k, rows).repeat_interleave(repeat, 1), values = v.repeat_interleave(repeat, 1);  // [B,H,n,D]
  const Tensor score = at::matmul(rotate(q, rows), keys.transpose(-1, -2)) / std::sqrt(static_cast<double>(q.size(3)));
  Tensor hidden = at::ones({n, n}, q.options().dtype(at::kBool)).triu(1);                                             // [n,n]
  if (document.defined()) hidden = hidden.logical_or(document.unsqueeze(-1) != document.unsqueeze(-2)).unsqueeze(1);  // [B,1,n,n]
  return at::matmul(at::softmax(score.masked_fill(hidden, -INFINITY), -1), values);                                   // [B,H,n,D]
}

}  // namespace

InfiniResult infini_ref(const InfiniOperands& x, const InfiniRules& rules) {
  check(x, rules);
  const int64_t B = x.q.size(0), H = x.q.size(1), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1), N = rules.segment;
  const auto wide = x.q.options().dtype(x.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const int64_t F = feature_width(D, rules.memory.features);
  Tensor M = at::zeros({B, G, F, D}, wide), z = at::zeros({B, G, F}, wide), n = at::zeros({B}, wide);
  if (x.memory.M.defined()) M = x.memory.M, z = x.memory.z, n = x.memory.n.to(wide);
  Tensor text = x.document.defined() && T > 0 ? x.document.select(1, 0) : Tensor();  // [B]: whose tokens the memory holds
  const Tensor g = x.gate.to(wide).view({H, 1, 1});                                  // [H,1,1]
  std::vector<Tensor> outs{at::empty({B, H, 0, D}, x.q.options())};
  for (int64_t first = 0; first < T; first += N) {
    const int64_t count = std::min(N, T - first);
    const Tensor q = x.q.narrow(2, first, count), k = x.k.narrow(2, first, count), v = x.v.narrow(2, first, count);
    const Tensor document = x.document.defined() ? x.document.narrow(1, first, count) : Tensor();  // [B,count]
    Tensor live = (n > 0).unsqueeze(-1).expand({B, count});                                        // [B,count]
    if (document.defined()) live = live.logical_and(document == text.unsqueeze(-1));

    const Memory old{M.repeat_interleave(H / G, 1), z.repeat_interleave(H / G, 1), n.view({B, 1})};
    const Tensor a_memory = memory_read(features(q, rules.memory.features), old, live.to(wide).unsqueeze(1), rules.memory);
    const Tensor a_local = local(q, k, v, x.rotation, document).to(wide);  // [B,H,count,D]
    const Tensor gated = rules.empty == EmptyMemory::bypass ? g * live.to(wide).view({B, 1, count, 1}) : g;
    outs.push_back((gated * a_memory + (1 - gated) * a_local).to(x.q.scalar_type()));
    if (count < N) break;

    Tensor weight = x.weight.defined() ? x.weight.narrow(1, first, count).to(wide) : at::ones({B, count}, wide);  // [B,count]
    Tensor stays = at::ones({B}, wide);                                                                           // [B]
    if (document.defined()) {
      const Tensor now = document.select(1, count - 1);  // [B]
      weight = weight * (document == now.unsqueeze(-1)).logical_and(document >= 0);
      stays = (now == text).to(wide), text = now;
    }
    const auto more = memory_write(features(k, rules.memory.features), v, weight.unsqueeze(1), {M, z, n.view({B, 1})},
                                   live.to(wide).unsqueeze(1), rules.memory);
    M = stays.view({B, 1, 1, 1}) * M + more.M, z = stays.view({B, 1, 1}) * z + more.z, n = stays * n + more.n.squeeze(1);
  }
  return {at::cat(outs, 2), {M, z, n}};
}

}  // namespace longview::kernels
