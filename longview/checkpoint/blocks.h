// Storage types of weights as checkpoints hold them (ggml's block formats among them), and their meaning in f32.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace longview {

enum class BlockType : uint8_t { f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k };

struct BlockShape {
  int64_t values;  // weights a block
  int64_t bytes;   // bytes a block
};

BlockShape block_shape(BlockType type);
std::string_view block_name(BlockType type);  // "Q4_1"

/// Writes `values` weights (a multiple of the block's values) as f32, exactly as ggml defines them.
void dequantize(BlockType type, const uint8_t* blocks, int64_t values, float* out);

/// The other way, for F32, F16, BF16 and Q8_0, rounded to the nearest; what is too large for F16 or BF16 becomes infinite.
void quantize(BlockType type, const float* values, int64_t count, uint8_t* blocks);

/// Whether every weight is finite: each value of F32, F16 and BF16, the scales of a block format (its weights are then too).
bool all_finite(BlockType type, const uint8_t* blocks, int64_t values);

}  // namespace longview
