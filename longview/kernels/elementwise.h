// The small row-wise operations between the linear layers: our loops for f32 on the CPU, tensor operations on a GPU, for other types and
// where gradients are asked for.
#pragma once

#include "longview/base/tensor.h"

namespace longview::kernels {

/// RMS norm (arXiv:1910.07467): x / sqrt(mean(x^2) + epsilon) * weight, in `type` or that of x.   x [...,E], weight [E] -> [...,E]
Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon, std::optional<at::ScalarType> type = {});
/// x and its norm: what is done with both of them has one gradient.
std::pair<Tensor, Tensor> norm_beside(const Tensor& x, const Tensor& weight, double epsilon, std::optional<at::ScalarType> type);

/// SwiGLU's gate (arXiv:2002.05202): gate / (1 + e^-gate) * up, written over gate unless it has a gradient.   both [...,F]
Tensor silu_times(Tensor gate, const Tensor& up);

/// x + y, written over x unless one of them has a gradient.   both of one shape
Tensor add(Tensor x, const Tensor& y);

/// Negative log-likelihoods in nats of the targets: log sum_v e^logit_v - logit_target.   logits [T,V], targets int64 [T] -> f64 [T]
Tensor nll(const Tensor& logits, const Tensor& targets);

}  // namespace longview::kernels
