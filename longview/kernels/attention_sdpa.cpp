// Attention by LibTorch's scaled_dot_product_attention: differentiable, on any device, flash attention (arXiv:2307.08691) on a GPU.
// A row's scale goes into its query, where they are not all the same. is_causal counts from the top left, so it is for sets whose
// queries stand at their keys only; every other range becomes a mask, of a block of queries where they see a window (kernels/bands.h).
#include "longview/kernels/bands.h"
#include "longview/kernels/gradients.h"

namespace longview::kernels {
namespace {

/// Query t sees the keys 0 to t, and there are no others.
bool is_causal(const KeySet& set) {
  const auto T = static_cast<int64_t>(set.to.size());
  if (set.k.size(2) != T) return false;
  for (int64_t t = 0; t < T; ++t)
    if (set.from[t] != 0 || set.to[t] != t + 1) return false;
  return true;
}

/// What is added to the scores of a band's first block: the bias, -infinity where a key is hidden; without a bias whether a key is seen.
Tensor mask_of(const Tensor& q, const KeySet& set, const Band& band) {
  const auto on_device = [&](const std::vector<int64_t>& x) {
    const auto first = x.begin() + band.row;
    return at::tensor(std::vector<int64_t>(first, first + band.rows), at::kLong)
        .to(q.device(), at::kLong, /*non_blocking=*/true)
        .unsqueeze(-1);  // [rows,1]
  };
  const Tensor j = at::arange(band.key, band.key + band.keys, q.options().dtype(at::kLong).requires_grad(false));  // [keys]
  const Tensor is_hidden = (j < on_device(set.from)).logical_or(j >= on_device(set.to));                           // [rows,keys]
  if (!set.bias.defined()) return is_hidden.logical_not();
  return set.bias.to(q.options()).masked_fill(is_hidden, -INFINITY).unsqueeze(0);  // [1,H,rows,keys]
}

}  // namespace

std::string attention_sdpa_refusal(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale) {
  if (sets.size() != 1) return "it takes one set of keys";
  const KeySet& set = sets[0];
  if (q.device().is_cpu() && !set.bias.defined() && !needs_gradient(q, sets, scale))
    return "on the CPU it is for gradients and biases";
  if (scale.requires_grad()) return "the scale needs a gradient";
  if (!at::isFloatingType(q.scalar_type()) || set.k.scalar_type() != q.scalar_type() || set.v.scalar_type() != q.scalar_type())
    return "the tensors are not of one dtype";
  for (size_t t = 0; t < set.from.size(); ++t)
    if (set.from[t] >= set.to[t]) return "a query sees no keys";
  return "";
}

Tensor attention_sdpa(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale) {
  const KeySet& set = sets[0];
  const int64_t repeat = q.size(1) / set.k.size(1);
  const bool is_plain = is_causal(set) && !set.bias.defined();
  const bool is_flash = is_plain && q.is_cuda() && q.scalar_type() != at::kFloat && q.scalar_type() != at::kDouble;
  const bool shares_keys = is_flash && repeat > 1;             // the others have no kernel for it, and would write out every score
  Tensor k = rotate_with_gradient(set.k, set.key), v = set.v;  // [B,G,Tk,D]
  if (repeat > 1 && !shares_keys) k = k.repeat_interleave(repeat, 1), v = v.repeat_interleave(repeat, 1);  // [B,H,Tk,D]
  const bool is_even = scale.numel() > 0 && scale.eq(scale[0]).all().item<bool>();
  Tensor rows = rotate_with_gradient(q, set.query);  // [B,H,Tq,D]
  if (!is_even) rows = rows * scale.to(q.device(), q.scalar_type(), /*non_blocking=*/true).unsqueeze(-1);
  const double same = is_even ? scale[0].item<double>() : 1.0;
  if (is_plain) return at::scaled_dot_product_attention(rows, k, v, {}, 0.0, true, same, shares_keys);  // [B,H,Tq,D]
  const Band everything{0, q.size(2), 0, k.size(2)};
  std::vector<Tensor> outs;
  for (const Band& band : set.bias.defined() ? std::vector{everything} : bands_of(set)) {
    const auto keys = [&](const Tensor& x) { return stretches(x, band.key, band.keys, band.rows, band.count); };
    const Tensor own = stretches(rows, band.row, band.rows, band.rows, band.count);  // [B*c,H,rows,D]
    const Tensor out = at::scaled_dot_product_attention(own, keys(k), keys(v), mask_of(q, set, band), 0.0, false, same);
    outs.push_back(end_to_end(out, band.count));  // [B,H,c*rows,D]
  }
  return outs.size() == 1 ? outs[0] : at::cat(outs, 2);  // [B,H,Tq,D]
}

}  // namespace longview::kernels
