// Codes and scales of ggml's quantised blocks (layouts as its documentation of block formats gives them).
#include "longview/checkpoint/unpack.h"

#include <bit>
#include <cstring>

#include "longview/base/check.h"

namespace longview {
namespace {

float half_at(const uint8_t* at) {
  uint16_t h;
  std::memcpy(&h, at, sizeof h);
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 1023;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
    const float value = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  const uint32_t bits = sign | (exponent == 31 ? 0x7f800000U : (exponent + 112) << 23) | fraction << 13;
  return std::bit_cast<float>(bits);
}

// Q4_0 Q4_1 Q5_0 Q5_1: 32 values; the low halves of 16 bytes are values 0-15, the high halves 16-31, a fifth bit apart.
void unpack_32(BlockType type, const uint8_t* at, uint8_t* codes, float& scale, float& minimum) {
  const bool has_minimum = type == BlockType::q4_1 || type == BlockType::q5_1;
  const bool has_fifth = type == BlockType::q5_0 || type == BlockType::q5_1;
  scale = half_at(at);
  minimum = has_minimum ? half_at(at + 2) : -scale * (has_fifth ? 16.0F : 8.0F);
  at += has_minimum ? 4 : 2;
  uint32_t fifth = 0;
  if (has_fifth) std::memcpy(&fifth, at, sizeof fifth), at += sizeof fifth;
  for (int j = 0; j < 16; ++j) {
    codes[j] = static_cast<uint8_t>((at[j] & 15) | (fifth >> j & 1) << 4);
    codes[j + 16] = static_cast<uint8_t>(at[j] >> 4 | (fifth >> (j + 16) & 1) << 4);
  }
}

void unpack_q8_0(const uint8_t* at, uint8_t* codes, float& scale, float& minimum) {
  scale = half_at(at);
  minimum = -128.0F * scale;
  for (int j = 0; j < 32; ++j) codes[j] = static_cast<uint8_t>(at[2 + j] ^ 0x80);
}

void unpack_q2_k(const uint8_t* at, uint8_t* codes, float* scales, float* minimums) {
  const uint8_t *packed = at, *q = at + 16;
  const float d = half_at(at + 80), dmin = half_at(at + 82);
  for (int g = 0; g < 16; ++g) {
    scales[g] = d * static_cast<float>(packed[g] & 15);
    minimums[g] = -dmin * static_cast<float>(packed[g] >> 4);
    for (int l = 0; l < 16; ++l) codes[g * 16 + l] = (q[g / 8 * 32 + g % 2 * 16 + l] >> (g / 2 % 4 * 2)) & 3;
  }
}

void unpack_q3_k(const uint8_t* at, uint8_t* codes, float* scales, float* minimums) {
  const uint8_t *high = at, *q = at + 32, *packed = at + 96;
  const float d = half_at(at + 108);
  for (int g = 0; g < 16; ++g) {
    const int low = g < 8 ? packed[g] & 15 : packed[g - 8] >> 4;
    const int code = low | ((packed[8 + g % 4] >> (g / 4 * 2)) & 3) << 4;
    scales[g] = d * static_cast<float>(code - 32);
    minimums[g] = -4.0F * scales[g];
    for (int l = 0; l < 16; ++l) {
      const int column = g % 2 * 16 + l;
      codes[g * 16 + l] =
          static_cast<uint8_t>(((q[g / 8 * 32 + column] >> (g / 2 % 4 * 2)) & 3) | (high[column] >> (g / 2) & 1) << 2);
    }
  }
}

// The 6-bit scales and minimums of Q4_K and Q5_K: eight of each in 12 bytes.
void scales_k4(const uint8_t* packed, float d, float dmin, float* scales, float* minimums) {
  for (int j = 0; j < 8; ++j) {
    const int scale = j < 4 ? packed[j] & 63 : (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
    const int minimum = j < 4 ? packed[j + 4] & 63 : packed[j + 4] >> 4 | (packed[j] >> 6) << 4;
    scales[j] = d * static_cast<float>(scale);
    minimums[j] = -(dmin * static_cast<float>(minimum));
  }
}

void unpack_q45_k(bool has_fifth, const uint8_t* at, uint8_t* codes, float* scales, float* minimums) {
  scales_k4(at + 4, half_at(at), half_at(at + 2), scales, minimums);
  const uint8_t *fifth = at + 16, *q = at + (has_fifth ? 48 : 16);
  for (int g = 0; g < 8; ++g)
    for (int l = 0; l < 32; ++l) {
      const int low = (q[g / 2 * 32 + l] >> (g % 2 * 4)) & 15;
      codes[g * 32 + l] = static_cast<uint8_t>(low | (has_fifth ? (fifth[l] >> g & 1) << 4 : 0));
    }
}

void unpack_q6_k(const uint8_t* at, uint8_t* codes, float* scales, float* minimums) {
  const uint8_t *low = at, *high = at + 128;
  const float d = half_at(at + 208);
  for (int g = 0; g < 16; ++g) {
    scales[g] = d * static_cast<float>(static_cast<int8_t>(at[192 + g]));
    minimums[g] = -32.0F * scales[g];
    const int half = g / 8, quarter = g / 2 % 4;
    for (int l = 0; l < 16; ++l) {
      const int column = g % 2 * 16 + l;
      const int bits = (low[half * 64 + quarter % 2 * 32 + column] >> (quarter / 2 * 4)) & 15;
      codes[g * 16 + l] = static_cast<uint8_t>(bits | ((high[half * 32 + column] >> (quarter * 2)) & 3) << 4);
    }
  }
}

}  // namespace

int code_bits(BlockType type) {
  switch (type) {
    case BlockType::q4_0:
    case BlockType::q4_1:
    case BlockType::q4_k: return 4;
    case BlockType::q2_k: return 2;
    case BlockType::q3_k: return 3;
    case BlockType::q5_0:
    case BlockType::q5_1:
    case BlockType::q5_k: return 5;
    case BlockType::q6_k: return 6;
    case BlockType::q8_0: return 8;
    default: return 0;
  }
}

int64_t code_group(BlockType type) {
  if (code_bits(type) == 0) return 0;
  return type == BlockType::q2_k || type == BlockType::q3_k || type == BlockType::q6_k ? 16 : 32;
}

void unpack_codes(BlockType type, const uint8_t* blocks, int64_t values, uint8_t* codes, float* scales, float* minimums) {
  const BlockShape shape = block_shape(type);
  LV_CHECK(code_group(type) > 0, "[blocks] {} has no codes", block_name(type));
  const int64_t groups = shape.values / code_group(type);
  for (int64_t done = 0; done < values; done += shape.values) {
    switch (type) {
      case BlockType::q8_0: unpack_q8_0(blocks, codes, *scales, *minimums); break;
      case BlockType::q2_k: unpack_q2_k(blocks, codes, scales, minimums); break;
      case BlockType::q3_k: unpack_q3_k(blocks, codes, scales, minimums); break;
      case BlockType::q4_k: unpack_q45_k(false, blocks, codes, scales, minimums); break;
      case BlockType::q5_k: unpack_q45_k(true, blocks, codes, scales, minimums); break;
      case BlockType::q6_k: unpack_q6_k(blocks, codes, scales, minimums); break;
      default: unpack_32(type, blocks, codes, *scales, *minimums); break;
    }
    blocks += shape.bytes;
    codes += shape.values;
    scales += groups;
    minimums += groups;
  }
}

}  // namespace longview
