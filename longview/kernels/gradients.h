// The small operations between products, with gradients in closed form: one pass each way, by our CUDA kernels for bf16 on a GPU, by loops
// on the CPU.
#pragma once

#include "longview/kernels/attention.h"

namespace longview::kernels {

/// x itself, and its norm in `type`: both gradients of x come back in one.   x [...,E] f32 or as `type`, weight [E]
struct Normed {
  Tensor x, y;
};
Normed norm_with_gradient(const Tensor& x, const Tensor& weight, double epsilon, at::ScalarType type);

/// silu(gate) * up, both [...,F] of one type.
Tensor gate_with_gradient(const Tensor& gate, const Tensor& up);

/// x [...,I] times two or three weights [O,I] each, of one type: one gradient of x, added up as it is computed.
std::vector<Tensor> products_with_gradient(const Tensor& x, const std::vector<Tensor>& weights);

/// As rotate(), for rotations of all of D (M = D/2).
Tensor rotate_with_gradient(const Tensor& x, const Rotation& rotation);

}  // namespace longview::kernels
