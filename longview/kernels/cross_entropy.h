// The loss of the output layer without a tensor of all logits: rows are taken a chunk at a time, and the gradients of the hidden states and
// of the output layer are made with the losses.
//   loss = sum_i share_i (log sum_v e^(h_i . w_v) - h_i . w_target_i)
#pragma once

#include "longview/base/tensor.h"

namespace longview::kernels {

struct CrossEntropy {
  Tensor loss;   // [], differentiable in hidden and head
  Tensor nll;    // [T] nats of each target, no gradient
  Tensor right;  // bool [T] whether the target is the likeliest
};

/// hidden [T,E], head [V,E] of any floating types (products are in head's), targets int64 [T], share [T] -> sums in f32 (f64 for f64).
/// chunk: rows at a time; 0: as many as make 64 MiB of logits on the CPU, 512 MiB to 1 GiB on a GPU.
CrossEntropy cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets, const Tensor& share, int64_t chunk = 0);

}  // namespace longview::kernels
