// Reading, writing, and the gradients of both in closed form. With c_t = sigma(q_t) z, a_t = sigma(q_t) M / c_t and g_t = dL/da_t:
//   dM = sum_t sigma(q_t)^T g_t / c_t      dz = -sum_t sigma(q_t) (g_t a_t) / c_t      dsigma(q_t) = (M g_t - z (g_t a_t)) / c_t
#include "longview/kernels/memory.h"

namespace longview::kernels {
namespace {

constexpr int64_t kReach = 3;  // dpfp: distances 1 to 3

Tensor times_vector(const Tensor& x, const Tensor& z) { return at::matmul(x, z.unsqueeze(-1)).squeeze(-1); }  // [...,T,F] [...,F]

Tensor both_signs(const Tensor& x) { return at::cat({x.clamp_min(0), (-x).clamp_min(0)}, -1); }  // [...,2D]

/// 1 / sigma(q_t) z where a row may read, else 0.
Tensor inverse_weight(const Tensor& sq, const Memory& memory, const Tensor& live) {
  const Tensor c = times_vector(sq, memory.z);            // [...,T]
  const Tensor is_there = (c > 0).logical_and(live > 0);  // [...,T]
  return is_there / c.masked_fill(is_there.logical_not(), 1);
}

Tensor mean_key(const Memory& memory) { return memory.z / memory.n.clamp_min(1).unsqueeze(-1); }  // [...,F]

Tensor numerator_features(const Tensor& sq, const Memory& memory, const MemoryRules& rules) {
  return rules.read == ReadRule::centred ? sq - mean_key(memory).unsqueeze(-2) : sq;  // [...,T,F]
}

/// How much of a key is new to z: 1 - sigma(k) z / |sigma(k)|^2, between 0 and 1.
Tensor novelty(const Tensor& sk, const Memory& memory, const Tensor& live) {
  const Tensor known = times_vector(sk, memory.z) * live;                                             // [...,T]
  return (1 - known / sk.square().sum(-1).clamp_min(std::numeric_limits<float>::min())).clamp(0, 1);  // [...,T]
}

}  // namespace

int64_t feature_width(int64_t head_width, FeatureMap map) { return map == FeatureMap::dpfp ? 2 * kReach * head_width : head_width; }

Tensor exact(const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

Tensor features(const Tensor& x, FeatureMap map) {
  const Tensor wide = exact(x);  // [...,D]
  // By branches: expm1(x) + 1 is 0 from x = -7 on in bf16 and loses half its digits before.
  if (map == FeatureMap::elu1) return at::where(wide >= 0, wide + 1, wide.clamp_max(0).exp());  // [...,D]
  const Tensor r = both_signs(wide);                                                            // [...,2D]
  std::vector<Tensor> products;
  for (int64_t reach = 1; reach <= kReach; ++reach) products.push_back(r * at::roll(r, reach, -1));
  return at::cat(products, -1);  // [...,6D]
}

Tensor features_backward(const Tensor& x, const Tensor& grad, FeatureMap map) {
  const Tensor wide = exact(x);                                        // [...,D]
  if (map == FeatureMap::elu1) return grad * wide.clamp_max(0).exp();  // 1 from 0 on
  const Tensor r = both_signs(wide);                                   // [...,2D]
  const int64_t D = wide.size(-1);
  Tensor back = at::zeros_like(r);  // [...,2D]
  for (int64_t reach = 1; reach <= kReach; ++reach) {
    const Tensor part = grad.narrow(-1, (reach - 1) * 2 * D, 2 * D);  // [...,2D]
    back = back + part * at::roll(r, reach, -1) + at::roll(part * r, -reach, -1);
  }
  return back.narrow(-1, 0, D) * (wide > 0) - back.narrow(-1, D, D) * (wide < 0);  // [...,D]
}

Tensor memory_read(const Tensor& sq, const Memory& memory, const Tensor& live, const MemoryRules& rules) {
  return at::matmul(numerator_features(sq, memory, rules), memory.M) * inverse_weight(sq, memory, live).unsqueeze(-1);  // [...,T,D]
}

Memory memory_write(const Tensor& sk, const Tensor& v, const Tensor& weight, const Memory& memory, const Tensor& live,
                    const MemoryRules& rules) {
  Tensor value = exact(v), fresh = weight;  // [...,T,D] [...,T]
  if (rules.write != WriteRule::linear) value = value - memory_read(sk, memory, live, rules);
  if (rules.write == WriteRule::corrected_delta) fresh = weight * novelty(sk, memory, live);
  const Tensor weighted = (sk * weight.unsqueeze(-1)).transpose(-1, -2);               // [...,F,T]
  const Tensor z = at::matmul(sk.transpose(-1, -2), fresh.unsqueeze(-1)).squeeze(-1);  // [...,F]
  return {at::matmul(weighted, value), z, weight.sum(-1)};
}

ReadGradients memory_read_backward(const Tensor& grad, const Tensor& sq, const Memory& memory, const Tensor& live,
                                   const Tensor& read, const MemoryRules& rules) {
  const Tensor inverse = inverse_weight(sq, memory, live);      // [...,T]
  const Tensor numerator = grad * inverse.unsqueeze(-1);        // [...,T,D]
  const Tensor denominator = -(grad * read).sum(-1) * inverse;  // [...,T]
  ReadGradients out;
  out.M = at::matmul(numerator_features(sq, memory, rules).transpose(-1, -2), numerator);                           // [...,F,D]
  out.z = at::matmul(sq.transpose(-1, -2), denominator.unsqueeze(-1)).squeeze(-1);                                  // [...,F]
  out.sq = at::matmul(numerator, memory.M.transpose(-1, -2)) + denominator.unsqueeze(-1) * memory.z.unsqueeze(-2);  // [...,T,F]
  if (rules.read == ReadRule::centred)
    out.z = out.z - times_vector(memory.M, numerator.sum(-2)) / memory.n.clamp_min(1).unsqueeze(-1);  // [...,F]
  return out;
}

WriteGradients memory_write_backward(const Tensor& grad_M, const Tensor& grad_z, const Tensor& sk, const Tensor& v,
                                     const Tensor& weight, const Memory& memory, const Tensor& live, const MemoryRules& rules) {
  const Tensor rows = weight.unsqueeze(-1);  // [...,T,1]
  WriteGradients out;
  Tensor value = exact(v), read;  // [...,T,D]
  if (rules.write != WriteRule::linear) read = memory_read(sk, memory, live, rules), value = value - read;
  out.v = at::matmul(sk, grad_M) * rows;                        // [...,T,D]
  out.sk = at::matmul(value, grad_M.transpose(-1, -2)) * rows;  // [...,T,F]
  const Tensor along = times_vector(sk, grad_z) * weight;       // [...,T]: of the novelty
  if (rules.write != WriteRule::corrected_delta) out.sk = out.sk + rows * grad_z.unsqueeze(-2);
  if (rules.write == WriteRule::linear) return out;
  const auto back = memory_read_backward(-out.v, sk, memory, live, read, rules);
  out.sk = out.sk + back.sq, out.M = back.M, out.z = back.z;
  if (rules.write == WriteRule::delta) return out;
  const Tensor fresh = novelty(sk, memory, live),
               size = sk.square().sum(-1).clamp_min(std::numeric_limits<float>::min());  // [...,T]
  const Tensor inside = along * live * fresh.gt(0).logical_and(fresh.lt(1)) / size;      // [...,T]: the clamps pass nothing
  const Tensor known = times_vector(sk, memory.z) / size;                                // [...,T]
  out.sk = out.sk + (fresh * weight).unsqueeze(-1) * grad_z.unsqueeze(-2) - inside.unsqueeze(-1) * memory.z.unsqueeze(-2) +
           (2 * inside * known).unsqueeze(-1) * sk;
  out.z = out.z - at::matmul(sk.transpose(-1, -2), inside.unsqueeze(-1)).squeeze(-1);
  return out;
}

}  // namespace longview::kernels
