// Softmax attention over sets of keys, each set with its own rotation and its own range a query may see. One softmax runs over the
// union of the sets: full attention is one set, sinks and a window are two, and so is every method with two rotations.
#pragma once

#include "longview/base/tensor.h"

namespace longview::kernels {

/// cos and sin of position * theta, f32 [T,M] each, M <= D/2 pairs (x[m], x[m+M]); undefined: not rotated.
struct Rotation {
  Tensor cos, sin;
};

struct KeySet {
  Tensor k, v;                    // [B,G,Tk,D], not rotated
  Rotation query, key;            // rows [Tq,M] and [Tk,M]; both undefined: neither is rotated
  std::vector<int64_t> from, to;  // [Tq] each: query t sees the keys from[t] <= j < to[t] of this set
  int64_t first = 0;  // index of key 0 in the text: sums are cut at its multiples of 64, so results do not depend on how much
                      // of the past the tensors hold
  Tensor bias = {};   // [H,Tq,Tk] or [1,Tq,Tk], added to the scaled scores; undefined: none
};

/// q [B,H,Tq,D] not rotated -> [B,H,Tq,D], H a multiple of G: query head h reads key head h / (H/G).
///   out_i = sum_j softmax_j( scale_i <R_i q_i, R_j k_j> + bias_hij ) v_j   scale [Tq], 1/sqrt(D) included; a row that sees nothing is 0
/// Differentiable in q, k, v, bias and scale.
/// On the CPU a row does not depend on the rows beside it (with matrix tiles: among calls of more than 64 rows a key head).
Tensor attention(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale);

/// x [...,T,D] rotated by rows of cos and sin [T,M], in the dtype of x.
Tensor rotate(const Tensor& x, const Rotation& rotation);

/// One way to compute it. The first of the table whose refusal is empty runs; LONGVIEW_KERNEL=NAME forces one.
struct AttentionKernel {
  std::string_view name, summary;
  std::string (*refusal)(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale);
  Tensor (*run)(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale);
};
std::span<const AttentionKernel> attention_kernels();

/// Whether autograd is on and an operand asks for a gradient.
bool needs_gradient(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale);

std::string attention_cpu_refusal(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale);
std::string attention_sdpa_refusal(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale);
Tensor attention_cpu(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale);
Tensor attention_sdpa(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale);
Tensor attention_ref(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale);

}  // namespace longview::kernels
