// A checkpoint's tensor as bytes of another storage type, a mebibyte at a time.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "longview/checkpoint/checkpoint.h"

namespace longview {

/// Which row of the tensor (which value of a vector) comes at a place; empty: the same.
using RowAt = std::function<int64_t(int64_t)>;

/// Of heads of D rows: from pairs of neighbours to all first halves, then all second halves of a head's pairs; and back.
RowAt halves_from_neighbours(int64_t D);
RowAt neighbours_from_halves(int64_t D);

/// Whether the rows (values) of this tensor, under Hugging Face's name, are turned as rotary pairs: Q and K, their biases and norms.
bool is_rotated(const std::string& name);

/// Throws where a weight is not finite, or too large for the type. Bytes that need no change are put as they are.
void put_weights(const std::string& name, const StoredTensor& tensor, BlockType type, const RowAt& row,
                 const std::function<void(std::span<const uint8_t>)>& put);

}  // namespace longview
