// Linear layers over every storage type: packing keeps the weights, products are as exact as the plain one, and a row's result
// does not depend on its company.
#include "longview/kernels/linear.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "longview/checkpoint/unpack.h"
#include "longview/kernels/loops.h"
#include "tests/kernels/attention_cases.h"
#include "tests/kernels/error.h"

namespace longview::kernels {
namespace {

using namespace testing;  // NOLINT: helpers

constexpr std::array kTypes{BlockType::f32,  BlockType::f16,  BlockType::bf16, BlockType::q4_0, BlockType::q4_1,
                            BlockType::q5_0, BlockType::q5_1, BlockType::q8_0, BlockType::q2_k, BlockType::q3_k,
                            BlockType::q4_k, BlockType::q5_k, BlockType::q6_k};
constexpr std::array<int64_t, 5> kOutputs{1, 63, 64, 65, 130};
constexpr std::array<int64_t, 7> kRows{1, 2, 3, 4, 5, 64, 200};

/// Random blocks whose weights are neither huge nor all tiny.
struct Stored {
  BlockType type;
  int64_t outputs, inputs;
  std::vector<uint8_t> bytes;
  Tensor dense;  // [O,I] as dequantize() gives it
};

Stored stored(BlockType type, int64_t outputs, uint32_t seed = 1) {
  const BlockShape block = block_shape(type);
  const int64_t inputs = block.values == 256 ? 512 : 96;
  Stored out{type, outputs, inputs, {}, at::empty({outputs, inputs})};
  std::mt19937 random(seed);
  std::vector<uint8_t> one(static_cast<size_t>(block.bytes));
  std::vector<float> values(static_cast<size_t>(block.values));
  float* dense = out.dense.data_ptr<float>();
  for (int64_t n = 0; n < outputs * inputs / block.values;) {
    for (auto& byte : one) byte = static_cast<uint8_t>(random());
    dequantize(type, one.data(), block.values, values.data());
    float most = 0;
    bool is_finite = true;
    for (const float value : values) most = std::max(most, std::abs(value)), is_finite = is_finite && std::isfinite(value);
    if (!is_finite || most > 4 || most < 0.01) continue;
    out.bytes.insert(out.bytes.end(), one.begin(), one.end());
    std::copy(values.begin(), values.end(), dense + n++ * block.values);
  }
  return out;
}

Weight packed(const Stored& s) {
  return pack(s.type, s.bytes.data(), s.outputs, s.inputs, [](int64_t row) { return row; });
}

struct Linear : ::testing::TestWithParam<BlockType> {};

/// One unit in the last place of the largest term that makes up each weight: scale * code or the minimum.
Tensor last_places(const Stored& s) {
  if (code_bits(s.type) == 0) return at::zeros({s.outputs, s.inputs});
  const int64_t group = code_group(s.type), values = s.outputs * s.inputs;
  std::vector<uint8_t> codes(static_cast<size_t>(values));
  std::vector<float> scales(static_cast<size_t>(values / group)), minimums(scales.size());
  unpack_codes(s.type, s.bytes.data(), values, codes.data(), scales.data(), minimums.data());
  const Tensor out = at::empty({s.outputs, s.inputs});
  for (int64_t n = 0; n < values; ++n) {
    const auto g = static_cast<size_t>(n / group);
    const float most = std::max(std::abs(scales[g] * static_cast<float>(codes[static_cast<size_t>(n)])), std::abs(minimums[g]));
    out.data_ptr<float>()[n] = std::nextafter(most, INFINITY) - most;
  }
  return out;
}

TEST_P(Linear, PackedWeightsAreTheStoredOnes) {
  for (const int64_t outputs : kOutputs) {
    const Stored s = stored(GetParam(), outputs);
    const Weight weight = packed(s);
    EXPECT_EQ(weight.outputs, outputs);
    EXPECT_TRUE(((unpack(weight) - s.dense).abs() <= last_places(s)).all().item<bool>()) << outputs;
    const Tensor ids = at::tensor(std::vector<int64_t>{outputs - 1, 0, outputs / 2, 0}, at::kLong);
    EXPECT_TRUE(same_bits(rows(weight, ids), unpack(weight).index_select(0, ids)));
  }
}

TEST_P(Linear, RowsArePackedInTheOrderAsked) {
  const Stored s = stored(GetParam(), 70);
  const Weight turned = pack(s.type, s.bytes.data(), 70, s.inputs, [](int64_t row) { return 69 - row; });
  EXPECT_TRUE(same_bits(unpack(turned), unpack(packed(s)).flip(0)));
}

/// The sum over the inputs in their order, each product and each sum rounded.
Tensor in_order(const Tensor& x, const Tensor& dense) {
  Tensor sum = at::zeros({x.size(0), dense.size(0)});  // [T,O]
  for (int64_t i = 0; i < x.size(1); ++i) sum = sum + x.narrow(1, i, 1) * dense.select(1, i);
  return sum;
}

TEST_P(Linear, ProductsAreAsExactAsThePlainFormula) {
  Randoms random(2);
  for (const int64_t outputs : kOutputs) {
    const Stored s = stored(GetParam(), outputs);
    const Weight weight = packed(s);
    std::vector<Tensor> ours, plain, exact;
    for (const int64_t count : kRows) {
      const Tensor x = random.normal({count, s.inputs});
      ours.push_back(linear(x, weight));
      plain.push_back(in_order(x, unpack(weight)));
      exact.push_back(linear_ref(x.to(at::kDouble), weight));
      EXPECT_TRUE(at::allclose(ours.back(), plain.back(), 1e-4, 1e-4)) << count << " rows, " << outputs << " outputs";
    }
    EXPECT_TRUE(as_exact_as_plain(at::cat(ours), at::cat(plain), at::cat(exact))) << outputs << " outputs";
  }
}

TEST_P(Linear, ARowDoesNotDependOnHowManyThereAre) {
  const Stored s = stored(GetParam(), 130);
  const Weight weight = packed(s);
  const Tensor x = Randoms(3).normal({200, s.inputs}), all = linear(x, weight);
  std::vector<Tensor> rows;
  for (int64_t row = 0; row < 200; ++row) rows.push_back(linear(x.narrow(0, row, 1), weight));
  const Tensor alone = at::cat(rows);
  if (loops().packing == nullptr) EXPECT_TRUE(same_bits(alone, all));
  for (const int64_t count : kRows) {
    const Tensor& wanted = loops().packing != nullptr && count > 4 ? all : alone;
    EXPECT_TRUE(same_bits(linear(x.narrow(0, 0, count), weight), wanted.narrow(0, 0, count))) << count;
    EXPECT_TRUE(same_bits(linear(x.narrow(0, 200 - count, count), weight), wanted.narrow(0, 200 - count, count)))
        << "the last " << count;
  }
}

INSTANTIATE_TEST_SUITE_P(Type, Linear, ::testing::ValuesIn(kTypes),
                         [](const auto& info) { return std::string(block_name(info.param)); });

TEST(LinearLayer, WeightsSideBySideAreTheSameAsOneByOne) {
  const Weight a = packed(stored(BlockType::q4_1, 130, 4)), b = packed(stored(BlockType::q8_0, 33, 5)),
               c = packed(stored(BlockType::f32, 64, 6));
  Randoms random(7);
  for (const int64_t count : kRows) {
    const Tensor x = random.normal({count, 96}), bias = random.normal({33});
    const auto all = linear(x, std::array{&a, &b, &c}, std::array{Tensor(), bias, Tensor()});
    EXPECT_TRUE(same_bits(all[0], linear(x, a)));
    EXPECT_TRUE(same_bits(all[1], linear(x, b) + bias)) << "with a bias";
    EXPECT_TRUE(same_bits(all[2], linear(x, c)));
  }
}

TEST(LinearLayer, KeepsTheOuterShapeAndTakesAnyStrides) {
  const Weight weight = packed(stored(BlockType::q5_1, 40));
  const Tensor x = Randoms(8).normal({96, 3, 7}).permute({1, 2, 0});  // [3,7,96], not contiguous
  const Tensor y = linear(x, weight);
  EXPECT_EQ(y.sizes(), (std::vector<int64_t>{3, 7, 40}));
  EXPECT_TRUE(same_bits(y.view({21, 40}), linear(x.reshape({21, 96}), weight)));
  EXPECT_EQ(linear(x.narrow(1, 0, 0), weight).sizes(), (std::vector<int64_t>{3, 0, 40})) << "no rows";
}

TEST(LinearLayer, RowsAreTakenByIdsOfAnyStride) {
  const Weight weight = packed(stored(BlockType::q8_0, 40));
  const Tensor ids = at::arange(40, at::kLong).slice(0, 1, 40, 3);
  EXPECT_TRUE(same_bits(rows(weight, ids), unpack(weight).index_select(0, ids)));
}

TEST(LinearLayer, DenseWeightsArePackedFromAnyDtype) {
  const Tensor dense = Randoms(9).normal({70, 30});
  EXPECT_TRUE(same_bits(unpack(pack(dense)), dense));
  EXPECT_TRUE(same_bits(unpack(pack(dense.to(at::kDouble).t().contiguous().t())), dense));
}

TEST(LinearLayer, QuantisedWeightsStaySmall) {
  const auto bits = [](BlockType type) {
    const Weight weight = packed(stored(type, 128));
    return 8.0 * static_cast<double>(weight.bytes()) / static_cast<double>(weight.outputs * weight.inputs);
  };
  EXPECT_EQ(bits(BlockType::q4_1), 4 + 2.0) << "codes, and an f32 scale and minimum for 32 values";
  EXPECT_EQ(bits(BlockType::q8_0), 8 + 2.0);
  EXPECT_EQ(bits(BlockType::bf16), 16);
}

TEST(LinearLayer, WrongOperandsAreRefused) {
  const Weight weight = packed(stored(BlockType::q8_0, 40));
  EXPECT_THROW(linear(at::zeros({2, 95}), weight), Error);
  EXPECT_THROW(linear(at::zeros({2, 96}, at::kDouble), weight), Error);
  EXPECT_THROW(rows(weight, at::tensor(std::vector<int64_t>{40}, at::kLong)), Error);
  EXPECT_THROW(rows(weight, at::tensor(std::vector<int64_t>{-1}, at::kLong)), Error);
  EXPECT_THROW(pack(BlockType::q8_0, nullptr, 1, 95, [](int64_t row) { return row; }), Error);
}

}  // namespace
}  // namespace longview::kernels
