// Attention by its definition: rotate, score, mask, one softmax over the union of the key sets, weigh the values.
#include "longview/kernels/attention.h"

namespace longview::kernels {

Tensor rotate(const Tensor& x, const Rotation& rotation) {
  if (!rotation.cos.defined()) return x;
  const Tensor cos = rotation.cos.to(x.options()), sin = rotation.sin.to(x.options());  // [T,M]
  const int64_t M = cos.size(1), D = x.size(-1);
  const Tensor a = x.narrow(-1, 0, M), b = x.narrow(-1, M, M);                                 // [...,T,M]
  return at::cat({a * cos - b * sin, b * cos + a * sin, x.narrow(-1, 2 * M, D - 2 * M)}, -1);  // [...,T,D]
}

Tensor attention_ref(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale) {
  std::vector<Tensor> scores, values;
  for (const auto& set : sets) {
    const int64_t repeat = q.size(1) / set.k.size(1), keys = set.k.size(2);
    const Tensor k = rotate(set.k, set.key).repeat_interleave(repeat, 1);                                        // [B,H,Tk,D]
    Tensor score = at::matmul(rotate(q, set.query) * scale.to(q.options()).unsqueeze(-1), k.transpose(-1, -2));  // [B,H,Tq,Tk]
    if (set.bias.defined()) score = score + set.bias.to(q.options());
    const auto there = at::TensorOptions(at::kLong).device(q.device());
    const Tensor j = at::arange(keys, there);  // [Tk]
    const Tensor from = at::tensor(set.from, at::kLong).to(there).unsqueeze(-1),
                 to = at::tensor(set.to, at::kLong).to(there).unsqueeze(-1);
    scores.push_back(score.masked_fill((j < from).logical_or(j >= to), -INFINITY));
    values.push_back(set.v.repeat_interleave(repeat, 1));  // [B,H,Tk,D]
  }
  const Tensor weights = at::softmax(scores.size() == 1 ? scores[0] : at::cat(scores, -1), -1).nan_to_num(0.0);  // [B,H,Tq,sum Tk]
  return at::matmul(weights, at::cat(values, 2));                                                                // [B,H,Tq,D]
}

}  // namespace longview::kernels
