// Weights from f32 into a storage type, rounded to the nearest (ties to even); Q8_0 as ggml's quantize_row_q8_0_ref makes it.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "longview/base/check.h"
#include "longview/checkpoint/blocks.h"

namespace longview {
namespace {

void store16(uint16_t value, uint8_t* at) {
  at[0] = static_cast<uint8_t>(value);
  at[1] = static_cast<uint8_t>(value >> 8);
}

uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  constexpr uint32_t kInfinite = 0x47800000, kNormal = 0x38800000;  // 2^16, and 2^-14: the least that is normal in f16
  uint32_t out = 0;
  if (std::isnan(value)) out = 0x7e00;
  else if (magnitude >= kInfinite) out = 0x7c00;
  else if (magnitude < kNormal) out = std::bit_cast<uint32_t>(std::abs(value) + 0.5F) - std::bit_cast<uint32_t>(0.5F);
  else out = (magnitude - (112U << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  return static_cast<uint16_t>(sign | out);
}

void to_q8_0(const float* values, uint8_t* block) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::abs(values[i]));
  const float scale = largest / 127, inverse = scale != 0 ? 1 / scale : 0;
  store16(to_f16(scale), block);
  for (int i = 0; i < 32; ++i) block[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::round(values[i] * inverse)));
}

}  // namespace

void quantize(BlockType type, const float* values, int64_t count, uint8_t* blocks) {
  const auto [per_block, bytes] = block_shape(type);
  LV_CHECK(count >= 0 && count % per_block == 0, "[blocks] {} holds {} weights a block; got {} weights", block_name(type),
           per_block, count);
  switch (type) {
    case BlockType::f32:
      if (count > 0) std::memcpy(blocks, values, static_cast<size_t>(count) * sizeof(float));
      return;
    case BlockType::f16:
      for (int64_t i = 0; i < count; ++i) store16(to_f16(values[i]), blocks + 2 * i);
      return;
    case BlockType::bf16:
      for (int64_t i = 0; i < count; ++i) store16(to_bf16(values[i]), blocks + 2 * i);
      return;
    case BlockType::q8_0:
      for (int64_t i = 0; i < count; i += per_block) to_q8_0(values + i, blocks + i / per_block * bytes);
      return;
    default: fail("[blocks] {} is read, not written; F32, F16, BF16 and Q8_0 are", block_name(type));
  }
}

}  // namespace longview
