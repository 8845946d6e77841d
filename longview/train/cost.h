// What a token of training costs by count, and what a device can do: their ratio is the model FLOPs utilisation (MFU, arXiv:2204.02311
// appendix B). Multiplications and additions of products are counted: 2 forward and 4 backward for each number of a trained matrix (6 N),
// 4 in all for a frozen one, and the products inside attention three times. Two things are counted as they are and not as in the paper:
// causal attention sees half of its square, and the output layer works only where something is predicted. Recomputation is not counted.
#pragma once

#include "longview/model/block.h"
#include "longview/train/parameters.h"

namespace longview {

struct TokenCost {
  double layers = 0;  // operations of every token
  double head = 0;    // and of one whose next is predicted
};

/// Of texts of `length` tokens, each a row of its own.
TokenCost token_cost(const Parameters& parameters, const ModelConfig& config, const Method& method, int64_t length);

/// Forward operations a token in the attention of one layer, beside its projections: scores, values, and what a memory is read and
/// written with.
double attention_operations(const Attention& layer, const ModelConfig& config, int64_t length);

/// Operations a second of dense products as the maker states them, none for a GPU that is not in the table; on a CPU measured with a
/// product of matrices of this type, which takes a moment.
std::optional<double> peak_operations(at::Device device, at::ScalarType type);

}  // namespace longview
