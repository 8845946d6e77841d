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
  const auto wide = x.q.options().dtype(x.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const Tensor own = x.weight.defined() ? x.weight.to(wide) : at::ones({B, T}, wide);    // [B,T]
  out.weight = at::cat({at::zeros({B, O}, wide), own}, 1).narrow(1, 0, T).contiguous();  // nothing stands before the text
  return out;
}

namespace {

/// Heads side by side, as many of keys as of queries: [B,G,S,N,D] -> [B,G*S*R,N,D].
Tensor heads(const Tensor& y, int64_t R) {
  const int64_t B = y.size(0), G = y.size(1), S = y.size(2), N = y.size(3), D = y.size(4);
  return R == 1 ? y.reshape({B, G * S, N, D}) : y.unsqueeze(3).expand({B, G, S, R, N, D}).reshape({B, G * S * R, N, D});
}

/// Query t of N sees the keys up to its own, which are the last N: q [B,H,N,D], k and v [B,H,O+N,D] -> [B,H,N,D].
Tensor attend_view(const Tensor& q, const Tensor& k, const Tensor& v) {
  const int64_t N = q.size(2), all = k.size(2);
  if (all == N) return at::scaled_dot_product_attention(q, k, v, {}, 0.0, true);
  if (q.is_cuda() && q.scalar_type() != at::kFloat && q.scalar_type() != at::kDouble)  // whose diagonal ends at the last key
    return std::get<0>(at::_scaled_dot_product_flash_attention(q, k, v, 0.0, true));
  const Tensor seen = at::ones({N, all}, q.options().dtype(at::kBool).requires_grad(false)).tril(all - N);  // [N,O+N]
  return at::scaled_dot_product_attention(q, k, v, seen);
}

}  // namespace

Tensor attend_inside(const Segments& cut, const InfiniOperands& x, const InfiniRules& rules) {
  const Tensor& q = cut.q;
  const int64_t B = q.size(0), G = q.size(1), S = q.size(2), R = q.size(3), N = q.size(4), D = q.size(5), O = rules.overlap;
  const auto places = [&](int64_t first, int64_t count) -> Rotation {
    if (!x.rotation.cos.defined()) return {};
    return {x.rotation.cos.narrow(0, first, count), x.rotation.sin.narrow(0, first, count)};
  };
  if (O > 0) {
    const auto attend = [&](int64_t first, int64_t count, int64_t before) {  // segments, and tokens before each that it sees
      const auto view = [&](const Tensor& y) {
        const int64_t from = first * N + O - before;
        return y.narrow(2, from, count * N + before).unfold(2, before + N, N).transpose(-1, -2);  // [B,G,count,before+N,D]
      };
      const Tensor rows = rotate_with_gradient(q.narrow(2, first, count), places(O, N)).reshape({B, G * count * R, N, D});
      const Tensor keys = heads(rotate_with_gradient(view(cut.keys), places(O - before, before + N)), R);
      return attend_view(rows, keys, heads(view(cut.values), R)).view({B, G, count, R, N, D});
    };
    if (x.k_before.defined()) return attend(0, S, O);
    const Tensor begin = attend(0, 1, 0);  // nothing stands before a text
    return S > 1 ? at::cat({begin, attend(1, S - 1, O)}, 2) : begin;
  }
  const Tensor rows = rotate_with_gradient(q, x.rotation).reshape({B, G * S * R, N, D}),
               keys = heads(rotate_with_gradient(cut.k, x.rotation), R);
  if (!x.document.defined()) return attend_view(rows, keys, heads(cut.v, R)).view({B, G, S, R, N, D});
  const Tensor document = padded(x.document, 1, S * N, -1).view({B, S, N});                                    // [B,S,N]
  const Tensor seen = (document.unsqueeze(-1) == document.unsqueeze(-2)).tril();                               // [B,S,N,N]
  const Tensor mask = seen.view({B, 1, S, 1, N, N}).expand({B, G, S, R, N, N}).reshape({B, G * S * R, N, N});  // [B,H*S,N,N]
  return at::scaled_dot_product_attention(rows, keys, heads(cut.v, R), mask).view({B, G, S, R, N, D});
}

Tensor joined(const Tensor& x, int64_t T) {
  const int64_t B = x.size(0), G = x.size(1), S = x.size(2), R = x.size(3), N = x.size(4), D = x.size(5);
  return x.permute({0, 2, 4, 1, 3, 5}).reshape({B, S * N, G * R, D}).narrow(1, 0, T).transpose(1, 2);  // as layers want it
}

}  // namespace longview::kernels
