// The codes inside ggml's quantised blocks, for kernels that multiply without a copy in f32.
#pragma once

#include "longview/checkpoint/blocks.h"

namespace longview {

int code_bits(BlockType type);       // bits a code needs: 2 to 8; 0 for f32, f16 and bf16
int64_t code_group(BlockType type);  // values that share one scale: 16 or 32; 0 for f32, f16 and bf16

/// value i = scales[i / group] * codes[i] + minimums[i / group], with one rounding equal to dequantize() up to 1 ulp.
void unpack_codes(BlockType type, const uint8_t* blocks, int64_t values, uint8_t* codes, float* scales, float* minimums);

}  // namespace longview
