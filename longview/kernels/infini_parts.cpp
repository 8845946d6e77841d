// Padding, local attention and the sums over segments.
#include "longview/kernels/infini_parts.h"

#include "longview/kernels/gradients.h"

namespace longview::kernels {
namespace {

/// x [B,S] beside tensors [B,G,S,...] of `dims` sizes.
Tensor beside(const Tensor& x, int64_t dims) {
  Tensor out = x.unsqueeze(1);
  while (out.dim() < dims) out = out.unsqueeze(-1);
  return out;
}

}  // namespace

Tensor padded(const Tensor& x, int64_t dim, int64_t size, double value) {
  const int64_t missing = size - x.size(dim);
  if (missing == 0) return x;
  std::vector<int64_t> pads(static_cast<size_t>(2 * (x.dim() - dim)), 0);
  pads.back() = missing;
  return at::constant_pad_nd(x, pads, value);
}

Tensor prefix(const Tensor& start, const Tensor& added, const Tensor& stays) {
  if (!stays.defined()) return at::cat({start.unsqueeze(2), added}, 2).cumsum(2);
  std::vector<Tensor> out{start};
  for (int64_t s = 0; s < added.size(2); ++s)
    out.push_back(out.back() * beside(stays.narrow(1, s, 1), added.dim()).select(2, 0) + added.select(2, s));
  return at::stack(out, 2);
}

Tensor suffix(const Tensor& end, const Tensor& read, const Tensor& stays) {
  if (!stays.defined()) return at::cat({read, end.unsqueeze(2)}, 2).flip({2}).cumsum(2).flip({2});
  std::vector<Tensor> out{end};
  for (int64_t s = read.size(2) - 1; s >= 0; --s)
    out.push_back(out.back() * beside(stays.narrow(1, s, 1), read.dim()).select(2, 0) + read.select(2, s));
  std::reverse(out.begin(), out.end());
  return at::stack(out, 2);
}

InfiniOperands without_sinks_written(InfiniOperands x, const InfiniRules& rules) {
  const int64_t before = x.k_before.defined() ? rules.overlap : 0, first = x.begun - before;  // of the text's, that are here
  if (rules.sinks == 0 || first >= rules.sinks) return x;
  const auto wide = x.q.options().dtype(x.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).requires_grad(false);
  x.weight = x.weight.defined() ? x.weight.clone() : at::ones({x.q.size(0), before + x.q.size(2)}, wide);
  x.weight.narrow(1, 0, std::min(rules.sinks - first, x.weight.size(1))).zero_();
  return x;
}

std::pair<Tensor, Tensor> sinks_of(const InfiniOperands& x, const InfiniRules& rules) {
  if (x.sink_k.defined()) return {x.sink_k, x.sink_v};
  const int64_t count = std::min(rules.sinks, x.k.size(2));
  return {x.k.narrow(2, 0, count), x.v.narrow(2, 0, count)};
}

Tensor written_late(const InfiniOperands& x, int64_t late) {
  const int64_t B = x.q.size(0), T = x.q.size(2);
  const auto wide = x.q.options().dtype(x.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).requires_grad(false);
  const Tensor own = x.weight.defined() ? x.weight.to(wide) : at::ones({B, T}, wide);  // [B,T]
  return at::cat({at::zeros({B, late}, wide), own}, 1).narrow(1, 0, T).contiguous();   // nothing stands before the text
}

Segments cut(const InfiniOperands& x, const InfiniRules& rules) {
  const int64_t B = x.q.size(0), H = x.q.size(1), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1);
  const int64_t N = rules.segment, O = rules.overlap, S = (T + N - 1) / N;
  const auto segments = [&](const Tensor& y) { return y.reshape({B, G, S, N, D}); };
  Segments out{S, padded(x.q, 2, S * N).reshape({B, G, H / G, S, N, D}).transpose(2, 3), {}, {}, x.weight, {}, {}};
  if (O == 0) {
    out.keys = padded(x.k, 2, S * N), out.values = padded(x.v, 2, S * N);
    out.k = segments(out.keys), out.v = segments(out.values);
    return out;
  }
  const auto in_view = [&](const Tensor& before, const Tensor& y) {
    return padded(at::cat({before.defined() ? before : at::zeros({B, G, O, D}, y.options()), y}, 2), 2, O + S * N);
  };
  out.keys = in_view(x.k_before, x.k), out.values = in_view(x.v_before, x.v);
  out.k = segments(out.keys.narrow(2, 0, S * N)), out.v = segments(out.values.narrow(2, 0, S * N));
  if (x.k_before.defined()) {
    if (x.weight.defined()) out.weight = x.weight.narrow(1, 0, T);
    return out;
  }
  out.weight = written_late(x, O);
  return out;
}

namespace {

/// Segments side by side in the batch, as texts in layers are: [B,S,G,R,N,D] -> [B*S,G*R,N,D].
Tensor as_rows(const Tensor& y) { return y.reshape({y.size(0) * y.size(1), y.size(2) * y.size(3), y.size(4), y.size(5)}); }

/// Query t of N sees the keys up to its own, which are the last N: q [B,H,N,D], k and v [B,G,O+N,D] -> [B,H,N,D].
Tensor attend_view(const Tensor& q, Tensor k, Tensor v) {
  const int64_t N = q.size(2), all = k.size(2), repeat = q.size(1) / k.size(1);
  const bool is_flash = q.is_cuda() && q.scalar_type() != at::kFloat && q.scalar_type() != at::kDouble;
  if (repeat > 1 && !(is_flash && all == N)) k = k.repeat_interleave(repeat, 1), v = v.repeat_interleave(repeat, 1);
  if (all == N) return at::scaled_dot_product_attention(q, k, v, {}, 0.0, true, {}, k.size(1) < q.size(1));
  if (is_flash)
    return std::get<0>(at::_scaled_dot_product_flash_attention(q, k, v, 0.0, true));  // whose diagonal ends at the last key
  const Tensor seen = at::ones({N, all}, q.options().dtype(at::kBool).requires_grad(false)).tril(all - N);  // [N,O+N]
  return at::scaled_dot_product_attention(q, k, v, seen);
}

}  // namespace

Tensor attend_inside(const Segments& cut, const InfiniOperands& x, const InfiniRules& rules) {
  const Tensor q = cut.q.transpose(1, 2);  // [B,S,G,R,N,D]
  const int64_t B = q.size(0), S = q.size(1), G = q.size(2), R = q.size(3), N = q.size(4), D = q.size(5), O = rules.overlap,
                sinks = rules.sinks;
  const auto places = [&](int64_t first, int64_t count) -> Rotation {
    if (!x.rotation.cos.defined()) return {};
    return {x.rotation.cos.narrow(0, first, count), x.rotation.sin.narrow(0, first, count)};
  };
  const auto keys = [](const Tensor& y) { return as_rows(y.unsqueeze(3)); };  // [B,S,G,K,D] -> [B*S,G,K,D]
  const auto back = [&](const Tensor& y, int64_t count) {
    return y.reshape({B, count, G, R, N, D}).transpose(1, 2);
  };  // [B,G,count,R,N,D]
  if (O > 0 || sinks > 0) {
    // Segments of what is written begin `overlap` tokens before the text's, with just what the text's segments see besides their own.
    const auto [sink_k, sink_v] = sinks_of(x, rules);
    // `count` segments, each with so many tokens before it, and k0 and v0 [B,G,sinks,D] before those where they are given.
    const auto attend = [&](int64_t first, int64_t count, const Tensor& k0, const Tensor& v0, int64_t before) {
      const auto view = [&](const Tensor& y, const Tensor& written, const Tensor& always) {  // [B,count,G,sinks+before+N,D]
        std::vector<Tensor> seen{y.narrow(2, O + first * N, count * N).view({B, G, count, N, D}).transpose(1, 2)};
        if (before > 0) seen.insert(seen.begin(), written.narrow(2, first, count).narrow(3, 0, before).transpose(1, 2));
        if (always.defined()) seen.insert(seen.begin(), always.unsqueeze(1).expand({B, count, G, sinks, D}));
        return seen.size() == 1 ? seen[0] : at::cat(seen, 3);
      };
      const Tensor rows = as_rows(rotate_with_gradient(q.narrow(1, first, count), places(sinks + O, N))),
                   k = view(cut.keys, cut.k, k0);
      const Tensor seen = keys(rotate_with_gradient(k, places(sinks + O + N - k.size(3), k.size(3))));
      return back(attend_view(rows, seen, keys(view(cut.values, cut.v, v0))), count);
    };
    std::vector<Tensor> outs;
    for (int64_t s = 0; s < S;) {  // a segment with nothing before it, one with sinks among what is before it, all the others
      const int64_t begin = x.begun + s * N;
      const bool is_first = s == 0 && !x.k_before.defined() && !x.sink_k.defined(), is_apart = has_left_sinks(begin, rules);
      const int64_t count = is_first || (sinks > 0 && !is_apart) ? 1 : S - s;
      outs.push_back(attend(s, count, is_apart ? sink_k : Tensor(), is_apart ? sink_v : Tensor(), is_first ? 0 : O));
      s += count;
    }
    return outs.size() == 1 ? outs[0] : at::cat(outs, 2);
  }
  const Tensor rows = as_rows(rotate_with_gradient(q, x.rotation)),
               k = keys(rotate_with_gradient(cut.k.transpose(1, 2), x.rotation)), v = keys(cut.v.transpose(1, 2));
  if (!x.document.defined()) return back(attend_view(rows, k, v), S);
  const Tensor document = padded(x.document, 1, S * N, -1).view({B * S, 1, N});             // [B*S,1,N]
  const Tensor seen = (document.unsqueeze(-1) == document.unsqueeze(-2)).tril();            // [B*S,1,N,N]
  const auto all = [&](const Tensor& y) { return R > 1 ? y.repeat_interleave(R, 1) : y; };  // [B*S,H,N,D]
  return back(at::scaled_dot_product_attention(rows, all(k), all(v), seen.expand({B * S, G * R, N, N})), S);
}

Tensor joined(const Tensor& x, int64_t T) {
  const int64_t B = x.size(0), G = x.size(1), S = x.size(2), R = x.size(3), N = x.size(4), D = x.size(5);
  const Tensor all = x.permute({0, 2, 4, 1, 3, 5}).reshape({B, S * N, G * R, D});  // as layers want it
  return (S * N == T ? all : all.narrow(1, 0, T)).transpose(1, 2);  // a cut-off part of a gradient would be written out with zeros
}

}  // namespace longview::kernels
