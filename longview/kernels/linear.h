// y = x W^T + b, with W dense or packed as the checkpoint stores it.
#pragma once

#include "longview/base/tensor.h"
#include "longview/checkpoint/blocks.h"
#include "longview/kernels/loops.h"

namespace longview::kernels {

/// A weight [O,I] in panels of 64 outputs, the outputs of one input side by side. Quantised types keep their codes (4 or 8 bits)
/// and value = scale * code + minimum, so nothing is lost and nothing is larger than it must be; f32, f16 and bf16 keep their bits.
struct Weight {
  int64_t outputs = 0, inputs = 0;
  int64_t group = 0;  // inputs that share a scale; 0 for the forms without codes
  WeightForm form = WeightForm::real32;
  Tensor data;                       // bytes: [panels, inputs, 64 values]
  Tensor scales, minimums;           // f32 [panels, inputs/group, 64]; undefined for the forms without codes
  Tensor dense;                      // [O,I] on a GPU and in training, and then the only one that is defined
  Tensor low_rank_in, low_rank_out;  // [r,I] [O,r], with `dense` only: W + scale * out in; undefined: W alone
  double low_rank_scale = 1;
  int64_t panels() const { return (outputs + kPanel - 1) / kPanel; }
  int64_t bytes() const;
};

/// Packs rows of a stored matrix [outputs, inputs]; row r of the result is the stored row source(r).
Weight pack(BlockType type, const uint8_t* bytes, int64_t outputs, int64_t inputs, const std::function<int64_t(int64_t)>& source);
Weight pack(const Tensor& dense);  // f32 [O,I]
/// The tensor [O,I] itself, of any type and on any device, not copied: what training changes. Products with it are in its type.
Weight unpacked(const Tensor& dense);
/// What the model multiplies with it is best in this type; none: any.
inline std::optional<at::ScalarType> type_of(const Weight& weight) {
  return weight.dense.defined() ? std::optional(weight.dense.scalar_type()) : std::nullopt;
}
/// The weight in this type on a GPU; on the CPU as it is.
Weight on_device(Weight weight, at::Device device, at::ScalarType type = at::kFloat);

/// The weight as f32 [O,I], and some of its rows (an embedding's) as f32 [T,I].
Tensor unpack(const Weight& weight);
Tensor rows(const Weight& weight, const Tensor& ids);  // int64 [T]

/// x [...,I] f32 -> [...,O], one result a weight; biases may be undefined. All weights take the same inputs; they are computed
/// side by side. On the CPU a row's result does not depend on the others (with matrix tiles: among calls of more than 4 rows).
std::vector<Tensor> linear(const Tensor& x, std::span<const Weight* const> weights, std::span<const Tensor> biases = {});
Tensor linear(const Tensor& x, const Weight& weight);
/// The same into the first rows of `memory` [at least T,O], which is made or enlarged where it is too small: -> [T,O], a view of it.
/// For results of many megabytes again and again: freed and taken anew, they would scatter the heap.
Tensor linear(const Tensor& x, const Weight& weight, Tensor& memory);

/// The definition: unpack and multiply in the dtype of x.
Tensor linear_ref(const Tensor& x, const Weight& weight);

}  // namespace longview::kernels
