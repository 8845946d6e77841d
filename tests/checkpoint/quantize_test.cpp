// Weights into storage types: every f16 and bf16 comes back as it was, and between two of them the nearer is taken.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "longview/base/check.h"
#include "longview/checkpoint/blocks.h"

namespace longview {
namespace {

uint16_t rounded(BlockType type, float value) {
  uint8_t out[2];
  quantize(type, &value, 1, out);
  return static_cast<uint16_t>(out[0] | out[1] << 8);
}

float value_of(BlockType type, uint16_t bits) {
  const uint8_t bytes[] = {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8)};
  float out = 0;
  dequantize(type, bytes, 1, &out);
  return out;
}

/// The exponent's bits, all set in what is not finite.
uint16_t exponent(BlockType type) { return type == BlockType::f16 ? 0x7c00 : 0x7f80; }

class HalfTypes : public ::testing::TestWithParam<BlockType> {};

TEST_P(HalfTypes, GiveBackEveryValue) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & exponent(GetParam())) == exponent(GetParam())) continue;
    ASSERT_EQ(rounded(GetParam(), value_of(GetParam(), static_cast<uint16_t>(bits))), bits);
  }
}

// The midpoint of two neighbours is an f32; it goes to the even one, what is beside it to the nearer one.
TEST_P(HalfTypes, RoundToTheNearest) {
  const float up = std::numeric_limits<float>::infinity();
  for (uint16_t bits = 0; bits + 1 < exponent(GetParam()); ++bits) {
    const float low = value_of(GetParam(), bits), high = value_of(GetParam(), static_cast<uint16_t>(bits + 1));
    const auto middle = static_cast<float>((static_cast<double>(low) + high) / 2);
    const auto even = static_cast<uint16_t>(bits + (bits & 1));
    ASSERT_EQ(rounded(GetParam(), middle), even) << bits;
    ASSERT_EQ(rounded(GetParam(), -middle), even | 0x8000) << bits;
    ASSERT_EQ(rounded(GetParam(), std::nextafter(middle, 0.0F)), bits);
    ASSERT_EQ(rounded(GetParam(), std::nextafter(middle, up)), bits + 1);
  }
}

TEST_P(HalfTypes, SayWhatIsTooLarge) {
  const uint16_t infinite = exponent(GetParam());
  const float largest = value_of(GetParam(), static_cast<uint16_t>(infinite - 1));
  EXPECT_EQ(rounded(GetParam(), std::numeric_limits<float>::max()), infinite);
  EXPECT_EQ(rounded(GetParam(), std::numeric_limits<float>::infinity()), infinite);
  EXPECT_EQ(rounded(GetParam(), std::nextafter(largest, std::numeric_limits<float>::infinity())), infinite - 1);
  EXPECT_TRUE(std::isnan(value_of(GetParam(), rounded(GetParam(), std::numeric_limits<float>::quiet_NaN()))));
}

INSTANTIATE_TEST_SUITE_P(Types, HalfTypes, ::testing::Values(BlockType::f16, BlockType::bf16),
                         [](const auto& info) { return std::string(block_name(info.param)); });

TEST(Quantize, Q8IsNearAndKeepsItsLargest) {
  float in[64], out[64];
  for (int i = 0; i < 64; ++i) in[i] = i < 32 ? std::sin(static_cast<float>(i)) * 3 : 0;
  uint8_t blocks[68];
  quantize(BlockType::q8_0, in, 64, blocks);
  dequantize(BlockType::q8_0, blocks, 64, out);
  for (int i = 0; i < 64; ++i) EXPECT_NEAR(out[i], in[i], i < 32 ? 0.5F * 3 / 127 * 1.01F : 0) << i;
}

TEST(Quantize, RefusesWhatItCannotWrite) {
  float values[32] = {};
  uint8_t out[64];
  EXPECT_THROW(quantize(BlockType::q4_0, values, 32, out), Error);
  EXPECT_THROW(quantize(BlockType::q8_0, values, 31, out), Error);
}

}  // namespace
}  // namespace longview
