// The definition of Infini-attention: one segment after the other, every row of it at once, letters as in the paper.
#include "longview/kernels/infini_parts.h"

namespace longview::kernels {
namespace {

/// One softmax over the tokens in view that are not later and of the same text: q [B,H,n,D], k and v [B,G,p+n,D], p of up to `most` before the segment.
Tensor local(const Tensor& q, const Tensor& k, const Tensor& v, const Rotation& rotation, int64_t most, const Tensor& document) {
  const int64_t n = q.size(2), all = k.size(2), first = most + n - all, repeat = q.size(1) / k.size(1);
  const auto rows = [&](int64_t first, int64_t count) -> Rotation {
    if (!rotation.cos.defined()) return {};
    return {rotation.cos.narrow(0, first, count), rotation.sin.narrow(0, first, count)};
  };
  const Tensor keys = rotate(k, rows(first, all)).repeat_interleave(repeat, 1),
               values = v.repeat_interleave(repeat, 1);  // [B,H,all,D]
  const Tensor score = at::matmul(rotate(q, rows(most, n)), keys.transpose(-1, -2)) / std::sqrt(static_cast<double>(q.size(3)));
  Tensor hidden = at::ones({n, all}, q.options().dtype(at::kBool)).triu(all - n + 1);                                 // [n,all]
  if (document.defined()) hidden = hidden.logical_or(document.unsqueeze(-1) != document.unsqueeze(-2)).unsqueeze(1);  // [B,1,n,n]
  return at::matmul(at::softmax(score.masked_fill(hidden, -INFINITY), -1), values);                                   // [B,H,n,D]
}

}  // namespace

InfiniResult infini_ref(const InfiniOperands& operands, const InfiniRules& rules) {
  check(operands, rules);
  const InfiniOperands x = without_sinks_written(operands, rules);
  const int64_t B = x.q.size(0), H = x.q.size(1), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1), N = rules.segment;
  const auto wide = x.q.options().dtype(x.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const int64_t F = feature_width(D, rules.memory.features);
  Tensor M = at::zeros({B, G, F, D}, wide), z = at::zeros({B, G, F}, wide), n = at::zeros({B}, wide);
  if (x.memory.M.defined()) M = x.memory.M, z = x.memory.z, n = x.memory.n.to(wide);
  Tensor text = x.document.defined() && T > 0 ? x.document.select(1, 0) : Tensor();  // [B]: whose tokens the memory holds
  const Tensor g = x.gate.to(wide).view({H, 1, 1});                                  // [H,1,1]
  std::vector<Tensor> outs{at::empty({B, H, 0, D}, x.q.options())};
  // Tokens of the text from `begin` on, 0 the first here: those before it are negative.
  const int64_t begin = x.k_before.defined() ? -rules.overlap : 0;
  const Tensor keys = begin < 0 ? at::cat({x.k_before, x.k}, 2) : x.k, values = begin < 0 ? at::cat({x.v_before, x.v}, 2) : x.v;
  const auto [sink_k, sink_v] = sinks_of(x, rules);
  for (int64_t first = 0; first < T; first += N) {
    const int64_t count = std::min(N, T - first);
    const int64_t from = std::max(begin, first - rules.overlap);  // the first in view
    const auto in_view = [&](const Tensor& y, const Tensor& sinks) {
      const Tensor near = y.narrow(2, from - begin, first + count - from);
      return has_left_sinks(x.begun + first, rules) ? at::cat({sinks, near}, 2) : near;
    };
    const Tensor q = x.q.narrow(2, first, count);
    const Tensor document = x.document.defined() ? x.document.narrow(1, first, count) : Tensor();  // [B,count]
    Tensor live = (n > 0).unsqueeze(-1).expand({B, count});                                        // [B,count]
    if (document.defined()) live = live.logical_and(document == text.unsqueeze(-1));

    const Memory old{M.repeat_interleave(H / G, 1), z.repeat_interleave(H / G, 1), n.view({B, 1})};
    const Tensor a_memory = memory_read(features(q, rules.memory.features), old, live.to(wide).unsqueeze(1), rules.memory);
    const Tensor a_local =
        local(q, in_view(keys, sink_k), in_view(values, sink_v), x.rotation, rules.sinks + rules.overlap, document)
            .to(wide);  // [B,H,count,D]
    const Tensor gated = rules.empty == EmptyMemory::bypass ? g * live.to(wide).view({B, 1, count, 1}) : g;
    outs.push_back((gated * a_memory + (1 - gated) * a_local).to(x.q.scalar_type()));
    if (count < N) break;

    const int64_t written = first + N - rules.overlap - from;  // those that leave the view: [from, from + written)
    const Tensor k = keys.narrow(2, from - begin, written), v = values.narrow(2, from - begin, written);
    Tensor weight =
        x.weight.defined() ? x.weight.narrow(1, from - begin, written).to(wide) : at::ones({B, written}, wide);  // [B,written]
    Tensor stays = at::ones({B}, wide);                                                                          // [B]
    if (document.defined()) {
      const Tensor now = document.select(1, count - 1);  // [B]
      weight = weight * (document == now.unsqueeze(-1)).logical_and(document >= 0);
      stays = (now == text).to(wide), text = now;
    }
    const auto more = memory_write(features(k, rules.memory.features), v, weight.unsqueeze(1), {M, z, n.view({B, 1})},
                                   live.narrow(1, 0, written).to(wide).unsqueeze(1), rules.memory);
    M = stays.view({B, 1, 1, 1}) * M + more.M, z = stays.view({B, 1, 1}) * z + more.z, n = stays * n + more.n.squeeze(1);
  }
  return {at::cat(outs, 2), {M, z, n}};
}

}  // namespace longview::kernels
