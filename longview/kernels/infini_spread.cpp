// One AllGather a layer and direction.
#include "longview/kernels/infini_spread.h"

#include <torch/csrc/autograd/custom_function.h>

namespace longview::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Which tokens of this part are in the memory after it, and whether what was there before it is.
struct Part {
  Tensor weight;       // [B,T] how often a token is in the memory after the part
  Tensor stays;        // [B] 1 where the part's last text is that of its first token, all the way
  Tensor first, last;  // int64 [B] texts of the first and the last token
  Tensor held = {};    // int64 [B] the text that the memory before the first part is of; undefined: of its first token
};

Part part_of(const InfiniOperands& x, int64_t N, const at::TensorOptions& wide) {
  const int64_t B = x.q.size(0), T = x.q.size(2), S = T / N;
  const Tensor ones = at::ones({B, T}, wide);
  const Tensor none = at::zeros({B}, x.q.options().dtype(at::kLong));
  Part out{x.weight.defined() ? x.weight.to(wide) : ones, ones.select(1, 0), none, none, {}};
  if (!x.document.defined()) return out;
  const Tensor document = x.document.view({B, S, N}), ends = document.select(2, N - 1);  // [B,S,N] [B,S]
  out.first = x.document.select(1, 0).contiguous(), out.last = x.document.select(1, T - 1).contiguous();
  const Tensor text = at::cat({out.first.unsqueeze(1), ends}, 1);                          // [B,S+1]
  const Tensor goes_on = (text.narrow(1, 0, S) == ends).to(wide);                          // [B,S]
  const Tensor is_kept = goes_on.flip({1}).cumprod(1).flip({1});                           // [B,S] from a segment to the end
  const Tensor after = at::cat({is_kept.narrow(1, 1, S - 1), at::ones({B, 1}, wide)}, 1);  // [B,S] from the next one on
  const Tensor own = (document == ends.unsqueeze(-1)).logical_and(document >= 0);          // [B,S,N]
  out.weight = (out.weight.view({B, S, N}) * own * after.unsqueeze(-1)).view({B, T});      // [B,T]
  out.stays = is_kept.select(1, 0).contiguous();                                           // [B]
  return out;
}

/// M, z and n side by side, [B,W].
Tensor packed(const Memory& x) { return at::cat({x.M.flatten(1), x.z.flatten(1), x.n.view({-1, 1})}, 1); }

Memory unpacked(const Tensor& x, int64_t G, int64_t F, int64_t D) {
  const int64_t B = x.size(0), M = G * F * D, z = G * F;
  return {x.narrow(1, 0, M).reshape({B, G, F, D}), x.narrow(1, M, z).reshape({B, G, F}), x.select(1, M + z).contiguous()};
}

/// (k, v) -> (M, z, n before this part; M, z, n after the last).
struct Exchange : torch::autograd::Function<Exchange> {
  static variable_list forward(AutogradContext* context, const Tensor& k, const Tensor& v, const Memory& start, const Part& part,
                               const MemoryRules& rules, Communicator* ranks) {
    const int64_t B = k.size(0), G = k.size(1), D = k.size(3), F = feature_width(D, rules.features), R = ranks->size();
    const Tensor weight = part.weight.unsqueeze(1);  // [B,1,T]
    Memory added = memory_write(features(k, rules.features), v, weight, {}, {}, rules);
    added.n = added.n.reshape({B});
    const Tensor own = packed(added);                                                               // [B,W]
    const auto numbers = [&](const Tensor& x) { return x.view(own.scalar_type()).view({B, -1}); };  // int64 as they are
    const Tensor sent = at::cat({own, part.stays.unsqueeze(1), numbers(part.first), numbers(part.last)}, 1).contiguous();
    const Tensor all = ranks->all_gather(sent).view({R, B, -1});  // [R,B,W+1+2*I]
    const int64_t W = own.size(1), I = (all.size(2) - W - 1) / 2;
    const Tensor writes = all.narrow(2, 0, W), stays = all.select(2, W);  // [R,B,W] [R,B]
    const auto texts = [&](int64_t at) { return all.narrow(2, at, I).contiguous().view(at::kLong).view({R, B}); };
    const Tensor first = texts(W + 1), last = texts(W + 1 + I);                                                // [R,B]
    const Tensor begins = part.held.defined() ? part.held.to(at::kLong).unsqueeze(0) : first.narrow(0, 0, 1);  // [1,B]
    const Tensor same = (first == at::cat({begins, last.narrow(0, 0, R - 1)}, 0)).to(stays);                   // [R,B]
    Tensor before = packed(start) * same.select(0, 0).unsqueeze(1), mine, after;                               // [B,W]
    for (int64_t r = 0; r < R; ++r) {
      if (r == ranks->rank()) mine = before;
      after = writes.select(0, r) + stays.select(0, r).unsqueeze(1) * before;
      if (r + 1 < R) before = same.select(0, r + 1).unsqueeze(1) * after;
    }
    context->save_for_backward({k, v, part.weight, stays, same});
    context->saved_data["ranks"] = reinterpret_cast<int64_t>(ranks);
    context->saved_data["features"] = static_cast<int64_t>(rules.features);
    const Memory to_read = unpacked(mine, G, F, D), at_end = unpacked(after, G, F, D);
    const Tensor text = last.select(0, R - 1).clone();  // [B]
    context->mark_non_differentiable({to_read.n, at_end.M, at_end.z, at_end.n, text});
    return {to_read.M, to_read.z, to_read.n, at_end.M, at_end.z, at_end.n, text};
  }

  /// What a part wrote is read by all parts after it: the gradients of their memories, summed from the last part on.
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &k = saved[0], &v = saved[1], &weight = saved[2], &stays = saved[3], &same = saved[4];
    auto& ranks = *reinterpret_cast<Communicator*>(context->saved_data["ranks"].toInt());
    MemoryRules rules;
    rules.features = static_cast<FeatureMap>(context->saved_data["features"].toInt());
    const int64_t B = k.size(0), G = k.size(1), D = k.size(3), F = feature_width(D, rules.features), R = ranks.size();
    const Tensor own = at::cat({grads[0].reshape({B, -1}), grads[1].reshape({B, -1})}, 1).contiguous();  // [B,W-1]
    const Tensor all = ranks.all_gather(own).view({R, B, -1});                                           // [R,B,W-1]
    Tensor written = at::zeros_like(own);  // [B,W-1] of what this part wrote
    for (int64_t r = R - 1; r > ranks.rank(); --r) {
      const Tensor read = all.select(0, r) + stays.select(0, r).unsqueeze(1) * written;  // [B,W-1] of the memory before part r
      written = same.select(0, r).unsqueeze(1) * read;
    }
    const int64_t M = G * F * D;
    const auto back =
        memory_write_backward(written.narrow(1, 0, M).reshape({B, G, F, D}), written.narrow(1, M, G * F).reshape({B, G, F}),
                              features(k, rules.features), v, weight.unsqueeze(1), {}, {}, rules);
    return {features_backward(k, back.sk, rules.features).to(k.scalar_type()), back.v.to(v.scalar_type()), {}, {}, {}, {}};
  }
};

}  // namespace

std::string spread_refusal(const MemoryRules& rules) {
  return rules.write == WriteRule::linear
             ? ""
             : "a delta rule writes what the memory does not say yet, so each part waits for the one before";
}

SpreadMemory spread_memory(const InfiniOperands& x, const InfiniRules& rules, Communicator& ranks, const Tensor& held) {
  check(x, rules);
  const std::string why = spread_refusal(rules.memory);
  LV_CHECK(why.empty(), "[infini] a text cannot be spread over ranks: {}", why);
  const int64_t B = x.q.size(0), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1), F = feature_width(D, rules.memory.features);
  LV_CHECK(T > 0 && T % rules.segment == 0, "[infini] a rank's part must be whole segments of {} tokens; got {} tokens",
           rules.segment, T);
  const auto wide = x.q.options().dtype(x.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const Memory start = x.memory.M.defined()
                           ? Memory{x.memory.M.detach(), x.memory.z.detach(), x.memory.n.to(wide)}
                           : Memory{at::zeros({B, G, F, D}, wide), at::zeros({B, G, F}, wide), at::zeros({B}, wide)};
  Part part = part_of(x, rules.segment, wide);
  part.held = held;
  const auto out = Exchange::apply(x.k, x.v, start, part, rules.memory, &ranks);
  return {{out[0], out[1], out[2]}, {out[3], out[4], out[5]}, out[6]};
}

}  // namespace longview::kernels
