// Padding, local attention and the sums over segments.
#include "longview/kernels/infini_parts.h"

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

Tensor attend_inside(const Tensor& q, const Tensor& k, const Tensor& v, const InfiniOperands& x) {
  const int64_t B = q.size(0), G = q.size(1), S = q.size(2), R = q.size(3), N = q.size(4), D = q.size(5);
  const auto heads = [&](const Tensor& y) {
    return R == 1 ? y.reshape({B, G * S, N, D}) : y.unsqueeze(3).expand({B, G, S, R, N, D}).reshape({B, G * S * R, N, D});
  };
  const Tensor rotated = rotate(q, x.rotation).reshape({B, G * S * R, N, D}), keys = heads(rotate(k, x.rotation));
  if (!x.document.defined())
    return at::scaled_dot_product_attention(rotated, keys, heads(v), {}, 0.0, true).view({B, G, S, R, N, D});
  const Tensor document = padded(x.document, 1, S * N, -1).view({B, S, N});                                    // [B,S,N]
  const Tensor seen = (document.unsqueeze(-1) == document.unsqueeze(-2)).tril();                               // [B,S,N,N]
  const Tensor mask = seen.view({B, 1, S, 1, N, N}).expand({B, G, S, R, N, N}).reshape({B, G * S * R, N, N});  // [B,H*S,N,N]
  return at::scaled_dot_product_attention(rotated, keys, heads(v), mask).view({B, G, S, R, N, D});
}

Segments cut(const InfiniOperands& x, int64_t N) {
  const int64_t B = x.q.size(0), H = x.q.size(1), T = x.q.size(2), D = x.q.size(3), G = x.k.size(1), S = (T + N - 1) / N;
  const auto keys = [&](const Tensor& y) { return padded(y, 2, S * N).reshape({B, G, S, N, D}); };
  return {S, padded(x.q, 2, S * N).reshape({B, G, H / G, S, N, D}).transpose(2, 3), keys(x.k), keys(x.v)};
}

Tensor joined(const Tensor& x, int64_t T) {
  const int64_t B = x.size(0), G = x.size(1), S = x.size(2), R = x.size(3), N = x.size(4), D = x.size(5);
  return x.transpose(2, 3).reshape({B, G * R, S * N, D}).narrow(2, 0, T);
}

}  // namespace longview::kernels
