// Dequantisation of ggml's block formats (ggml-common.h and ggml-quants.c of ggml 0.25 define them; PyPI gguf agrees to the bit).
// Every product and sum below is rounded to f32 in ggml's order: keep the order, and do not build this file with FMA contraction.
#include "longview/checkpoint/blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "longview/base/check.h"

namespace longview {
namespace {

uint16_t load16(const uint8_t* at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }

// f16 to f32 without a branch, so that loops over it vectorise: shift the fields into place and mend the exponent.
float half(const uint8_t* at) {
  constexpr uint32_t kExponent = 0x7c00u << 13;
  const uint32_t bits = load16(at);
  const uint32_t magnitude = (bits & 0x7fffu) << 13;
  const uint32_t exponent = magnitude & kExponent;
  const uint32_t normal = magnitude + ((127u - 15u) << 23);
  const uint32_t special = normal + ((128u - 16u) << 23);  // infinity and NaN keep an exponent of all ones
  const auto tiny = std::bit_cast<uint32_t>(std::bit_cast<float>(normal + (1u << 23)) - std::bit_cast<float>(113u << 23));
  const uint32_t value = exponent == kExponent ? special : exponent == 0 ? tiny : normal;
  return std::bit_cast<float>(value | (bits & 0x8000u) << 16);
}

void from_f32(BlockShape, const uint8_t* in, int64_t values, float* out) {
  if (values > 0) std::memcpy(out, in, static_cast<size_t>(values) * 4);
}

void from_f16(BlockShape, const uint8_t* in, int64_t values, float* out) {
  for (int64_t i = 0; i < values; ++i) out[i] = half(in + 2 * i);
}

void from_bf16(BlockShape, const uint8_t* in, int64_t values, float* out) {
  for (int64_t i = 0; i < values; ++i) out[i] = std::bit_cast<float>(static_cast<uint32_t>(load16(in + 2 * i)) << 16);
}

// Formats of 32 weights: [d] [m] [32 high bits] [weights]; the low nibbles are weights 0-15, the high ones 16-31.

void q4_0(const uint8_t* in, float* out) {  // (q - 8) d
  const float d = half(in);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>((in[2 + i] & 15) - 8) * d;
    out[i + 16] = static_cast<float>((in[2 + i] >> 4) - 8) * d;
  }
}

void q4_1(const uint8_t* in, float* out) {  // q d + m
  const float d = half(in), m = half(in + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(in[4 + i] & 15) * d + m;
    out[i + 16] = static_cast<float>(in[4 + i] >> 4) * d + m;
  }
}

uint32_t load32(const uint8_t* at) { return load16(at) | static_cast<uint32_t>(load16(at + 2)) << 16; }

void q5_0(const uint8_t* in, float* out) {  // (q - 16) d
  const float d = half(in);
  const uint32_t high = load32(in + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(static_cast<int>((in[6 + i] & 15) | (high >> i & 1) << 4) - 16) * d;
    out[i + 16] = static_cast<float>(static_cast<int>(in[6 + i] >> 4 | (high >> (i + 16) & 1) << 4) - 16) * d;
  }
}

void q5_1(const uint8_t* in, float* out) {  // q d + m
  const float d = half(in), m = half(in + 2);
  const uint32_t high = load32(in + 4);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(static_cast<int>((in[8 + i] & 15) | (high >> i & 1) << 4)) * d + m;
    out[i + 16] = static_cast<float>(static_cast<int>(in[8 + i] >> 4 | (high >> (i + 16) & 1) << 4)) * d + m;
  }
}

void q8_0(const uint8_t* in, float* out) {  // q d
  const float d = half(in);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<int8_t>(in[2 + i])) * d;
}

// Formats of 256 weights in 8 or 16 groups, each with a small scale (and minimum) of its own under the block's d (and dmin).

void q2_k(const uint8_t* in, float* out) {  // scales[16] q[64] d dmin;  q (d s) - dmin m
  const uint8_t* q = in + 16;
  const float d = half(in + 80), dmin = half(in + 82);
  for (int group = 0; group < 16; ++group, out += 16) {  // a plane of two bits holds two groups
    const float scale = d * static_cast<float>(in[group] & 15), minimum = dmin * static_cast<float>(in[group] >> 4);
    const uint8_t* at = q + group / 8 * 32 + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int i = 0; i < 16; ++i) out[i] = scale * static_cast<float>(at[i] >> shift & 3) - minimum;
  }
}

void q3_k(const uint8_t* in, float* out) {  // high[32] q[64] scales[12] d;  (q - 4 unless high) d (s - 32)
  const uint8_t *high = in, *q = in + 32, *scales = in + 96;
  const float d = half(in + 108);
  for (int group = 0; group < 16; ++group, out += 16) {
    const int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
    const int top = scales[8 + group % 4] >> (group / 4 * 2) & 3;
    const float scale = d * static_cast<float>((low | top << 4) - 32);
    const int half_row = group % 2 * 16, shift = group % 8 / 2 * 2, bit = group / 2;
    const uint8_t* at = q + group / 8 * 32 + half_row;
    for (int i = 0; i < 16; ++i) {
      const int set = high[half_row + i] >> bit & 1;
      out[i] = scale * static_cast<float>((at[i] >> shift & 3) - 4 + 4 * set);
    }
  }
}

// The 8 scales and 8 minima of six bits that Q4_K and Q5_K pack into 12 bytes.
struct ScaleMin {
  float scale, minimum;
};
ScaleMin scale_min(const uint8_t* packed, int group, float d, float dmin) {
  const int low = group & 3;
  int scale = packed[low] & 63, minimum = packed[low + 4] & 63;
  if (group >= 4) {
    scale = (packed[low + 8] & 15) | packed[low] >> 6 << 4;
    minimum = packed[low + 8] >> 4 | packed[low + 4] >> 6 << 4;
  }
  return {d * static_cast<float>(scale), dmin * static_cast<float>(minimum)};
}

void q4_k(const uint8_t* in, float* out) {  // d dmin scales[12] q[128];  q (d s) - dmin m
  const float d = half(in), dmin = half(in + 2);
  for (int group = 0; group < 8; ++group, out += 32) {
    const auto [scale, minimum] = scale_min(in + 4, group, d, dmin);
    const uint8_t* at = in + 16 + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(at[i] >> shift & 15) - minimum;
  }
}

void q5_k(const uint8_t* in, float* out) {  // d dmin scales[12] high[32] q[128];  q (d s) - dmin m
  const uint8_t* high = in + 16;
  const float d = half(in), dmin = half(in + 2);
  for (int group = 0; group < 8; ++group, out += 32) {
    const auto [scale, minimum] = scale_min(in + 4, group, d, dmin);
    const uint8_t* at = in + 48 + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>((at[i] >> shift & 15) | (high[i] >> group & 1) << 4) - minimum;
  }
}

void q6_k(const uint8_t* in, float* out) {  // low[128] high[64] scales[16] d;  (d s) (q - 32)
  const float d = half(in + 208);
  for (int group = 0; group < 16; ++group, out += 16) {  // a half of 128: two rows of 32 low nibbles, then of high ones
    const float scale = d * static_cast<float>(static_cast<int8_t>(in[192 + group]));
    const int part = group / 8, row = group % 8 / 2, column = group % 2 * 16;
    const uint8_t* low = in + part * 64 + row % 2 * 32 + column;
    const uint8_t* high = in + 128 + part * 32 + column;
    const int low_shift = row / 2 * 4, high_shift = row * 2;
    for (int i = 0; i < 16; ++i)
      out[i] = scale * static_cast<float>(((low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4) - 32);
  }
}

template <void (*decode)(const uint8_t*, float*)>
void each(BlockShape shape, const uint8_t* in, int64_t values, float* out) {
  for (int64_t block = 0; block < values / shape.values; ++block) decode(in + block * shape.bytes, out + block * shape.values);
}

struct BlockFacts {
  BlockType type;
  std::string_view name;
  BlockShape shape;
  std::array<int, 2> scales;  // byte offsets of a block's f16 scales; -1: none
  void (*decode)(BlockShape, const uint8_t*, int64_t, float*);
};

constexpr std::array<BlockFacts, 13> kFacts{{
    {BlockType::f32, "F32", {1, 4}, {-1, -1}, from_f32},
    {BlockType::f16, "F16", {1, 2}, {0, -1}, from_f16},
    {BlockType::bf16, "BF16", {1, 2}, {-1, -1}, from_bf16},
    {BlockType::q4_0, "Q4_0", {32, 18}, {0, -1}, each<q4_0>},
    {BlockType::q4_1, "Q4_1", {32, 20}, {0, 2}, each<q4_1>},
    {BlockType::q5_0, "Q5_0", {32, 22}, {0, -1}, each<q5_0>},
    {BlockType::q5_1, "Q5_1", {32, 24}, {0, 2}, each<q5_1>},
    {BlockType::q8_0, "Q8_0", {32, 34}, {0, -1}, each<q8_0>},
    {BlockType::q2_k, "Q2_K", {256, 84}, {80, 82}, each<q2_k>},
    {BlockType::q3_k, "Q3_K", {256, 110}, {108, -1}, each<q3_k>},
    {BlockType::q4_k, "Q4_K", {256, 144}, {0, 2}, each<q4_k>},
    {BlockType::q5_k, "Q5_K", {256, 176}, {0, 2}, each<q5_k>},
    {BlockType::q6_k, "Q6_K", {256, 210}, {208, -1}, each<q6_k>},
}};

const BlockFacts& facts(BlockType type) {
  const auto at = static_cast<size_t>(type);
  LV_CHECK(at < kFacts.size() && kFacts[at].type == type, "[blocks] {} is not a storage type", at);
  return kFacts[at];
}

}  // namespace

BlockShape block_shape(BlockType type) { return facts(type).shape; }

std::string_view block_name(BlockType type) { return facts(type).name; }

void dequantize(BlockType type, const uint8_t* blocks, int64_t values, float* out) {
  const BlockFacts& block = facts(type);
  LV_CHECK(values >= 0 && values % block.shape.values == 0, "[blocks] {} holds {} weights a block; got {} weights", block.name,
           block.shape.values, values);
  block.decode(block.shape, blocks, values, out);
}

bool all_finite(BlockType type, const uint8_t* blocks, int64_t values) {
  const BlockShape shape = block_shape(type);
  unsigned broken = 0;
  if (type == BlockType::f32) {
    for (int64_t i = 0; i < values; ++i) broken |= (load16(blocks + 4 * i + 2) & 0x7f80) == 0x7f80;
  } else if (type == BlockType::bf16) {
    for (int64_t i = 0; i < values; ++i) broken |= (load16(blocks + 2 * i) & 0x7f80) == 0x7f80;
  } else {
    for (const int scale : facts(type).scales)
      for (int64_t block = 0; scale >= 0 && block < values / shape.values; ++block)
        broken |= (load16(blocks + block * shape.bytes + scale) & 0x7c00) == 0x7c00;
  }
  return broken == 0;
}

}  // namespace longview
