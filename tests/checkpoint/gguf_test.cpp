// GGUF reading: values, tensors, and every way a file can be wrong.
#include "longview/checkpoint/gguf.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/checkpoint/gguf_bytes.h"

namespace longview {
namespace {

using testing::Bytes;
using testing::error_of;
using testing::GgufBytes;
using testing::put;
using testing::tiny_gguf;

Gguf read(const Bytes& bytes) { return read_gguf(bytes, nullptr, "file.gguf"); }

void expect_refused(const GgufBytes& file, const std::string& why) {
  const Bytes bytes = file.bytes();
  const std::string error = error_of([&] { read(bytes); });
  EXPECT_TRUE(error.starts_with("[gguf] file.gguf: ")) << error;
  EXPECT_NE(error.find(why), std::string::npos) << error;
}

TEST(Gguf, ReadsEveryKindOfValue) {
  GgufBytes file;
  file.key<uint8_t>("u8", 0, 200).key<int8_t>("i8", 1, -5).key<uint16_t>("u16", 2, 60000).key<int16_t>("i16", 3, -300);
  file.key<uint32_t>("u32", 4, 4000000000U).key<int32_t>("i32", 5, -7).f32("f32", 0.5F).truth("yes", true).text("text", "a");
  file.key<uint64_t>("u64", 10, 1ULL << 40).key<int64_t>("i64", 11, -(1LL << 40)).key<double>("f64", 12, 0.1);
  file.texts("texts", {"", "x"}).many<uint8_t>("truths", 7, {1, 0}).many<float>("reals", 6, {1.5F}).many<uint16_t>("wholes", 2, {});
  const Gguf gguf = read(file.bytes());
  const std::map<std::string, GgufValue> expected = {{"u8", int64_t{200}},
                                                     {"i8", int64_t{-5}},
                                                     {"u16", int64_t{60000}},
                                                     {"i16", int64_t{-300}},
                                                     {"u32", int64_t{4000000000}},
                                                     {"i32", int64_t{-7}},
                                                     {"f32", 0.5},
                                                     {"yes", true},
                                                     {"text", std::string("a")},
                                                     {"u64", int64_t{1} << 40},
                                                     {"i64", -(int64_t{1} << 40)},
                                                     {"f64", 0.1},
                                                     {"texts", std::vector<std::string>{"", "x"}},
                                                     {"truths", std::vector<bool>{true, false}},
                                                     {"reals", std::vector<double>{1.5}},
                                                     {"wholes", std::vector<int64_t>{}}};
  EXPECT_EQ(gguf.metadata, expected);
  EXPECT_TRUE(gguf.tensors.empty());
}

TEST(Gguf, TensorsHaveTheirShapeOutermostFirst) {
  GgufBytes file;
  file.version = 2;
  file.tensor("a", {3, 2}).tensor("b", {5});
  const Bytes bytes = file.bytes();
  const Gguf gguf = read(bytes);
  EXPECT_EQ(gguf.tensors.at("a").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(gguf.tensors.at("b").bytes.size(), 20u);
  float last = 0;
  std::memcpy(&last, gguf.tensors.at("a").bytes.data() + 20, 4);
  EXPECT_EQ(last, 5.0F / 64);
}

TEST(Gguf, HonoursTheAlignment) {
  GgufBytes file;
  file.alignment = 256;
  file.u32("general.alignment", 256).tensor("a", {3}).tensor("b", {4});
  EXPECT_EQ(read(file.bytes()).tensors.at("b").shape.front(), 4);
  for (const uint32_t wrong : {0u, 3u, 48u, 1u << 21}) {
    GgufBytes other;
    expect_refused(other.u32("general.alignment", wrong).tensor("a", {3}), "power of two");
  }
  GgufBytes named;
  expect_refused(named.text("general.alignment", "32").tensor("a", {3}), "power of two");
}

TEST(Gguf, RefusesAWrongHeader) {
  const auto with = [](auto change) {
    GgufBytes file = tiny_gguf();
    change(file);
    return file;
  };
  expect_refused(with([](auto& f) { f.magic = "GGML"; }), "does not begin with 'GGUF'");
  expect_refused(with([](auto& f) { f.version = 1; }), "version 1; 2 and 3 are read");
  expect_refused(with([](auto& f) { f.version = 4; }), "version 4");
  expect_refused(with([](auto& f) { f.version = 3u << 24; }), "big-endian");
  for (const uint64_t many : {1000ull, 1ull << 60, ~0ull}) {
    expect_refused(with([&](auto& f) { f.tensor_count = many; }), many > 1000 ? "tensors; its" : "");
    expect_refused(with([&](auto& f) { f.key_count = many; }), many > 1000 ? "keys; its" : "");
  }
}

TEST(Gguf, RefusesWrongKeys) {
  expect_refused(GgufBytes().u32("twice", 1).u32("twice", 2), "key 'twice' is there twice");
  expect_refused(GgufBytes().u32("", 1), "a key of 0 characters");
  expect_refused(GgufBytes().u32(std::string(65536, 'k'), 1), "a key of 65536 characters");
  expect_refused(GgufBytes().key<uint32_t>("kind", 13, 0), "'kind' has value type 13");
  expect_refused(GgufBytes().key<uint32_t>("kind", ~0u, 0), "has value type");
  expect_refused(GgufBytes().key<uint64_t>("large", 10, ~0ull), "more than a signed 64-bit number holds");
  expect_refused(GgufBytes().key<uint8_t>("truth", 7, 2), "stored as 0 or 1; got 2");
  expect_refused(GgufBytes().key<uint64_t>("text", 8, 1ull << 60), "the file has");
  expect_refused(GgufBytes().key<uint64_t>("text", 8, ~0ull), "the file has");
  for (const uint64_t count : {5ull, 1ull << 60, ~0ull}) {
    GgufBytes array;
    array.key<uint32_t>("items", 9, 8);
    put<uint64_t>(array.keys, count);
    expect_refused(array, "items in 'items'");
  }
  GgufBytes nested;
  nested.key<uint32_t>("nested", 9, 9);
  put<uint64_t>(nested.keys, 0);
  expect_refused(nested, "an array of arrays");
}

TEST(Gguf, RefusesWrongTensors) {
  const auto one = [](auto change) {
    GgufBytes file;
    file.tensor("a", {32}).tensor("b", {32});
    change(file["b"]);
    return file;
  };
  expect_refused(one([](auto& t) { t.name = "a"; }), "tensor 'a' is there twice");
  expect_refused(one([](auto& t) { t.name = ""; }), "has no name");
  expect_refused(one([](auto& t) { t.dims = {}; }), "has 0 dimensions");
  expect_refused(one([](auto& t) { t.dims = {1, 1, 1, 1, 32}; }), "has 5 dimensions");
  expect_refused(one([](auto& t) { t.dims = {32, 0}; }), "a dimension of 0");
  expect_refused(one([](auto& t) { t.dims = {1ull << 32, 1ull << 32}; }), "multiply to more than 2^63");
  expect_refused(one([](auto& t) { t.dims = {~0ull}; }), "multiply to more than 2^63");
  expect_refused(one([](auto& t) { t.dims = {1ull << 62}; }), "more than 2^63 bytes");
  expect_refused(one([](auto& t) { t.dims = {1ull << 60}; }), "needs 4611686018427387904 bytes");
  expect_refused(one([](auto& t) { t.dims = {33}; }), "needs 132 bytes");
  expect_refused(one([](auto& t) { t.type = 20; }), "stored as IQ4_NL, which is not read; known: F32");
  expect_refused(one([](auto& t) { t.type = 4000; }), "stored as number 4000");
  expect_refused(one([](auto& t) {
                   t.type = 3, t.dims = {16, 2};
                 }),
                 "rows of tensor 'b' have 16 weights, not a multiple of Q4_1's 32");
  expect_refused(one([](auto& t) { t.offset = 0; }), "overlaps");
  expect_refused(one([](auto& t) { t.offset = 96; }), "overlaps");
  expect_refused(one([](auto& t) { t.offset = 136; }), "not a multiple of 32");
  expect_refused(one([](auto& t) { t.offset = 160; }), "is the download complete?");
  expect_refused(one([](auto& t) { t.offset = 1ull << 60; }), "is the download complete?");
  expect_refused(one([](auto& t) { t.offset = ~31ull; }), "is the download complete?");
}

// What a reader does with any file: open it, and read every weight.
void use(const Bytes& bytes) {
  const std::string error = error_of([&] {
    const Checkpoint checkpoint = checkpoint_from_gguf(read(bytes), "file.gguf");
    for (const auto& [name, tensor] : checkpoint.tensors) {
      const auto [values, size] = block_shape(tensor.type);
      std::vector<float> out(tensor.bytes.size() / static_cast<size_t>(size) * static_cast<size_t>(values));
      dequantize(tensor.type, tensor.bytes.data(), static_cast<int64_t>(out.size()), out.data());
      check_finite(name, tensor);
    }
  });
  ASSERT_TRUE(error.empty() || error.front() == '[') << error;
}

TEST(Gguf, AnyTruncationIsAnError) {
  const Bytes whole = tiny_gguf().bytes();
  ASSERT_EQ(error_of([&] { checkpoint_from_gguf(read(whole), "file.gguf"); }), "");
  for (size_t size = 0; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_NE(error_of([&] { read(cut); }), "") << size;
  }
}

TEST(Gguf, AnyFlippedBitIsAnErrorOrAFile) {
  Bytes bytes = tiny_gguf("qwen3").bytes();
  for (size_t at = 0; at < bytes.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[at] ^= static_cast<uint8_t>(1 << bit);
      use(bytes);
      bytes[at] ^= static_cast<uint8_t>(1 << bit);
    }
}

RC_GTEST_PROP(Gguf, AnyDamageIsAnErrorOrAFile, (const std::vector<std::pair<uint32_t, uint8_t>>& damage)) {
  static const Bytes whole = tiny_gguf("qwen2").bytes();
  Bytes bytes = whole;
  for (const auto& [at, value] : damage) bytes[at * 2654435761U % bytes.size()] = value;
  use(bytes);
}

}  // namespace
}  // namespace longview
