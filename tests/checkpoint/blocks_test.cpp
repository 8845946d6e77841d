// Storage types against PyPI gguf's dequantisation, to the bit (tests/golden/blocks.py).
#include "longview/checkpoint/blocks.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "longview/base/check.h"
#include "longview/base/file.h"

namespace longview {
namespace {

constexpr BlockType kAll[] = {BlockType::f32,  BlockType::f16,  BlockType::bf16, BlockType::q4_0, BlockType::q4_1,
                              BlockType::q5_0, BlockType::q5_1, BlockType::q8_0, BlockType::q2_k, BlockType::q3_k,
                              BlockType::q4_k, BlockType::q5_k, BlockType::q6_k};

struct GoldenBlocks {
  std::string name;
  std::vector<uint8_t> blocks;
  std::vector<float> weights;
};

class GoldenReader {
 public:
  bool done() const { return rest_.empty(); }
  GoldenBlocks next() {
    GoldenBlocks out;
    out.name.resize(count());
    take(out.name.data(), out.name.size());
    out.blocks.resize(count());
    take(out.blocks.data(), out.blocks.size());
    out.weights.resize(count());
    take(out.weights.data(), out.weights.size() * sizeof(float));
    return out;
  }

 private:
  uint32_t count() {
    uint32_t value = 0;
    take(&value, sizeof value);
    return value;
  }
  void take(void* to, size_t size) {
    LV_CHECK(size <= rest_.size(), "[test] blocks.bin is cut");
    std::memcpy(to, rest_.data(), size);
    rest_ = rest_.subspan(size);
  }
  MappedFile file_{LONGVIEW_GOLDEN "/blocks.bin"};
  std::span<const uint8_t> rest_ = file_.bytes();
};

TEST(Blocks, DequantizeAsGgmlToTheBit) {
  GoldenReader reader;
  size_t seen = 0;
  for (; !reader.done(); ++seen) {
    const auto golden = reader.next();
    ASSERT_LT(seen, std::size(kAll));
    ASSERT_EQ(block_name(kAll[seen]), golden.name);
    const auto shape = block_shape(kAll[seen]);
    const auto values = static_cast<int64_t>(golden.weights.size());
    ASSERT_EQ(static_cast<int64_t>(golden.blocks.size()) / shape.bytes * shape.values, values) << golden.name;
    std::vector<float> got(golden.weights.size(), NAN);
    dequantize(kAll[seen], golden.blocks.data(), values, got.data());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(golden.weights[i])) << golden.name << " weight " << i;
    EXPECT_TRUE(all_finite(kAll[seen], golden.blocks.data(), values)) << golden.name;
  }
  EXPECT_EQ(seen, std::size(kAll));
}

// Every half, against arithmetic in double.
TEST(Blocks, EveryHalf) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint8_t raw[2] = {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8)};
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float got = 0;
    dequantize(BlockType::f16, raw, 1, &got);
    EXPECT_EQ(all_finite(BlockType::f16, raw, 1), exponent != 31);
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(got), fraction != 0);
      EXPECT_EQ(std::isinf(got), fraction == 0);
      continue;
    }
    const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    ASSERT_EQ(got, bits & 0x8000 ? -magnitude : magnitude) << bits;
  }
}

TEST(Blocks, NotFiniteIsSeenWhereverAScaleIs) {
  GoldenReader reader;
  for (size_t seen = 0; !reader.done(); ++seen) {
    auto golden = reader.next();
    const auto shape = block_shape(kAll[seen]);
    const auto values = static_cast<int64_t>(golden.weights.size());
    size_t found = 0;
    for (int64_t at = 0; at + 1 < shape.bytes; at += 2) {  // a NaN in each pair of bytes of the last block
      auto broken = golden.blocks;
      const size_t last = broken.size() - static_cast<size_t>(shape.bytes) + static_cast<size_t>(at);
      broken[last] = 0xff, broken[last + 1] = 0x7f;
      std::vector<float> got(golden.weights.size());
      dequantize(kAll[seen], broken.data(), values, got.data());
      bool finite = true;
      for (const float value : got) finite = finite && std::isfinite(value);
      EXPECT_EQ(all_finite(kAll[seen], broken.data(), values), finite) << golden.name << " byte " << at;
      found += !finite;
    }
    EXPECT_GE(found, 1u) << golden.name;
  }
}

TEST(Blocks, RefusesHalfABlock) {
  float out[32];
  const uint8_t blocks[20] = {};
  EXPECT_THROW(dequantize(BlockType::q4_1, blocks, 31, out), Error);
  EXPECT_THROW(dequantize(BlockType::q4_1, blocks, -32, out), Error);
  EXPECT_THROW(block_shape(static_cast<BlockType>(99)), Error);
}

}  // namespace
}  // namespace longview
