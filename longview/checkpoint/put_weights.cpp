#include "longview/checkpoint/put_weights.h"

#include <algorithm>

#include "longview/base/check.h"
#include "longview/checkpoint/adapter.h"

namespace longview {
namespace {

/// Rows [first, first + count) of what is asked for, as f32.
void gather(const StoredTensor& tensor, int64_t width, const RowAt& row, int64_t first, int64_t count, float* out) {
  const auto [values, bytes] = block_shape(tensor.type);
  const int64_t row_bytes = width / values * bytes;
  for (int64_t r = first; r < first + count; ++r, out += width)
    dequantize(tensor.type, tensor.bytes.data() + (row ? row(r) : r) * row_bytes, width, out);
}

/// A vector whose values change places: rows of one value, which a block format has not. Vectors are small.
std::vector<float> moved(const StoredTensor& tensor, const RowAt& row) {
  std::vector<float> all(static_cast<size_t>(tensor.shape[0])), out;
  dequantize(tensor.type, tensor.bytes.data(), tensor.shape[0], all.data());
  for (int64_t r = 0; r < tensor.shape[0]; ++r) out.push_back(all[static_cast<size_t>(row(r))]);
  return out;
}

}  // namespace

RowAt halves_from_neighbours(int64_t D) {
  return [D](int64_t row) { return row / D * D + row % D % (D / 2) * 2 + row % D / (D / 2); };
}

RowAt neighbours_from_halves(int64_t D) {
  return [D](int64_t row) { return row / D * D + row % D % 2 * (D / 2) + row % D / 2; };
}

bool is_rotated(const std::string& name) {
  if (is_adapter(name)) return false;  // in halves already
  return name.find(".q_proj.") != std::string::npos || name.find(".k_proj.") != std::string::npos ||
         name.find(".q_norm.") != std::string::npos || name.find(".k_norm.") != std::string::npos;
}

void put_weights(const std::string& name, const StoredTensor& tensor, BlockType type, const RowAt& row,
                 const std::function<void(std::span<const uint8_t>)>& put) {
  check_finite(name, tensor);
  if (tensor.type == type && !row) return put(tensor.bytes);
  const BlockShape block = block_shape(type);
  const auto as_type = [&](const std::vector<float>& weights) {
    std::vector<uint8_t> out(weights.size() / static_cast<size_t>(block.values) * static_cast<size_t>(block.bytes));
    quantize(type, weights.data(), static_cast<int64_t>(weights.size()), out.data());
    LV_CHECK(all_finite(type, out.data(), static_cast<int64_t>(weights.size())),
             "[convert] tensor '{}' has weights that are too large for {}; F32 holds them", name, block_name(type));
    put(out);
  };
  const bool is_vector = tensor.shape.size() == 1;
  if (is_vector && row) return as_type(moved(tensor, row));
  const int64_t width = tensor.shape.back(), rows = is_vector ? 1 : tensor.shape[0];
  if (tensor.type == type) {
    const auto size = static_cast<size_t>(width / block.values * block.bytes);
    for (int64_t r = 0; r < rows; ++r) put(tensor.bytes.subspan(static_cast<size_t>(row(r)) * size, size));
    return;
  }
  const int64_t most = std::max<int64_t>(1, (1 << 18) / width);
  for (int64_t first = 0; first < rows; first += most) {
    const int64_t count = std::min(most, rows - first);
    std::vector<float> weights(static_cast<size_t>(count * width));
    gather(tensor, width, row, first, count, weights.data());
    as_type(weights);
  }
}

}  // namespace longview
