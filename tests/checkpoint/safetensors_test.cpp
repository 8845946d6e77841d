// safetensors: round trips, and every way a file can be wrong.
#include "longview/checkpoint/safetensors.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "tests/checkpoint/gguf_bytes.h"

namespace longview {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::error_of;
using testing::put_text;

fs::path scratch() { return fs::temp_directory_path() / fmt::format("longview-{}.safetensors", ::getpid()); }

Bytes file_of(std::string_view header, size_t data) {
  Bytes out;
  put_text(out, header);
  out.resize(out.size() + data, 7);
  return out;
}

void expect_refused(std::string_view header, size_t data, const std::string& why) {
  const std::string error = error_of([&] { read_safetensors(file_of(header, data), "x.safetensors"); });
  EXPECT_TRUE(error.starts_with("[safetensors] x.safetensors: ")) << error;
  EXPECT_NE(error.find(why), std::string::npos) << error;
}

TEST(Safetensors, Reads) {
  const Bytes bytes = file_of(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},)"
      R"("a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},"none":{"dtype":"I64","shape":[0,3],"data_offsets":[2,2]}}  )",
      10);
  const auto content = read_safetensors(bytes, "x");
  EXPECT_EQ(content.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_EQ(content.tensors.size(), 3u);
  EXPECT_EQ(content.tensors.at("b").shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(content.tensors.at("b").bytes.data(), bytes.data() + bytes.size() - 8);
  EXPECT_EQ(content.tensors.at("a").bytes.size(), 2u);
  EXPECT_TRUE(read_safetensors(file_of("{}", 0), "x").tensors.empty());
}

TEST(Safetensors, RefusesWrongHeaders) {
  for (const auto size : {0u, 7u})
    EXPECT_NE(error_of([&] { read_safetensors(Bytes(size), "x"); }).find("begins with 8"), std::string::npos);
  for (const uint64_t length : {3ull, 1ull << 60, ~0ull}) {
    Bytes bytes;
    testing::put(bytes, length);
    bytes.insert(bytes.end(), {'{', '}'});
    EXPECT_NE(error_of([&] { read_safetensors(bytes, "x"); }).find("2 follow"), std::string::npos);
  }
  expect_refused("", 0, "is not JSON");
  expect_refused("{", 0, "is not JSON");
  expect_refused("{}x", 0, "is not JSON");
  expect_refused("{\"\xff\":1}", 0, "is not JSON");
  expect_refused("[]", 0, "must be an object");
  expect_refused("17", 0, "must be an object");
  expect_refused(std::string(100000, '['), 0, "nests deeper");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                 8, "'a' is in the header twice");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})", 4, "'shape' is in the header twice");
  expect_refused(R"({"__metadata__":[]})", 0, "must be an object of texts");
  expect_refused(R"({"__metadata__":{"a":1}})", 0, "'a' in '__metadata__' must be a text");
}

TEST(Safetensors, RefusesWrongTensors) {
  const auto one = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return fmt::format(R"({{"a":{{"dtype":{},"shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
  };
  expect_refused(R"({"a":1})", 0, "has no dtype");
  expect_refused(R"({"a":{"shape":[1]}})", 0, "has no dtype");
  expect_refused(one("\"F23\"", "[1]", "[0,4]"), 4, "unknown dtype 'F23'; known: BOOL");
  expect_refused(one("5", "[1]", "[0,4]"), 4, "has no dtype");
  expect_refused(one("\"F32\"", "1", "[0,4]"), 4, "no list 'shape'");
  expect_refused(one("\"F32\"", "[-1]", "[0,4]"), 4, "whole numbers from 0 up");
  expect_refused(one("\"F32\"", "[1.5]", "[0,4]"), 4, "whole numbers from 0 up");
  expect_refused(one("\"F32\"", "[18446744073709551615]", "[0,4]"), 4, "whole numbers from 0 up");
  expect_refused(one("\"F32\"", "[4294967296,4294967296]", "[0,4]"), 4, "more than 2^63");
  expect_refused(one("\"F64\"", "[1152921504606846976]", "[0,0]"), 0, "more than 2^63");
  expect_refused(one("\"F32\"", "[2]", "[0,4]"), 4, "has 4 bytes; its shape needs 8");
  expect_refused(one("\"F32\"", "[1]", "[0]"), 4, "a begin and an end");
  expect_refused(one("\"F32\"", "[1]", "[4,0]"), 4, "a begin and an end");
  expect_refused(one("\"F32\"", "[2]", "[0,8]"), 7, "is the download complete?");
  expect_refused(one("\"F32\"", "[1]", "[0,4]"), 5, "last 1 bytes belong to no tensor");
  expect_refused(one("\"F32\"", "[1]", "[1,5]"), 5, "1 bytes before tensor 'a' belong to none");
  expect_refused(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", 4,
                 "overlaps");
}

struct Kept {
  std::map<std::string, Bytes> bytes;
  Safetensors content;
};

Kept any_content() {
  Kept out;
  for (auto text : *rc::gen::container<std::vector<std::string>>(rc::gen::container<std::string>(rc::gen::inRange(' ', '\x7f')))) {
    const std::string dtype = *rc::gen::element("U8", "F16", "BF16", "F32", "I64");
    const auto shape = *rc::gen::resize(4, rc::gen::container<std::vector<int64_t>>(rc::gen::inRange<int64_t>(0, 5)));
    size_t size = static_cast<size_t>(safetensors_width(dtype, "x"));
    for (const int64_t dim : shape) size *= static_cast<size_t>(dim);
    if (size > 300 || text == "__metadata__") continue;
    auto& bytes = out.bytes[text] = *rc::gen::container<Bytes>(size, rc::gen::arbitrary<uint8_t>());
    out.content.tensors[text] = {dtype, shape, bytes};
    out.content.metadata["about " + text] = text;
  }
  return out;
}

RC_GTEST_PROP(Safetensors, WhatIsWrittenIsRead, ()) {
  const Kept kept = any_content();
  write_safetensors(scratch(), kept.content);
  const MappedFile file(scratch());
  fs::remove(scratch());
  const auto got = read_safetensors(file.bytes(), "x");
  RC_ASSERT(got.metadata == kept.content.metadata);
  RC_ASSERT(got.tensors.size() == kept.content.tensors.size());
  for (const auto& [name, entry] : kept.content.tensors) {
    const auto& read = got.tensors.at(name);
    RC_ASSERT(read.dtype == entry.dtype);
    RC_ASSERT(read.shape == entry.shape);
    RC_ASSERT(std::equal(read.bytes.begin(), read.bytes.end(), entry.bytes.begin(), entry.bytes.end()));
  }
  const size_t cut = *rc::gen::inRange<size_t>(0, file.bytes().size());
  RC_ASSERT(!error_of([&] { read_safetensors(file.bytes().first(cut), "x"); }).empty());
}

TEST(Safetensors, AnyFlippedBitIsAnErrorOrAFile) {
  Bytes bytes = file_of(R"({"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},)"
                        R"("a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})",
                        10);
  for (size_t at = 0; at < bytes.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[at] ^= static_cast<uint8_t>(1 << bit);
      const std::string error = error_of([&] { read_safetensors(bytes, "x"); });
      ASSERT_TRUE(error.empty() || error.starts_with("[safetensors] x: ")) << error;
      bytes[at] ^= static_cast<uint8_t>(1 << bit);
    }
}

TEST(Safetensors, WritesTensorsOneAfterTheOther) {
  const Safetensors plan{{{"format", "pt"}}, {{"a", {"F32", {3}, {}}}, {"b", {"U8", {0, 2}, {}}}}};
  const Bytes bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  write_safetensors(scratch(), plan, [&](const std::string& name, const PutBytes& put) {
    if (name == "a") put(std::span(bytes).first(5)), put(std::span(bytes).subspan(5));
  });
  const MappedFile file(scratch());
  const auto read = read_safetensors(file.bytes(), "x");
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), read.tensors.at("a").bytes.begin(), read.tensors.at("a").bytes.end()));
  const auto few = [&](const std::string&, const PutBytes& put) { put(std::span(bytes).first(4)); };
  EXPECT_NE(error_of([&] { write_safetensors(scratch(), plan, few); }).find("has 4 bytes; its shape needs 12"), std::string::npos);
  EXPECT_EQ(read_text(scratch()).size(), file.bytes().size());  // the file from before
  fs::remove(scratch());
}

TEST(Safetensors, WritesOnlyWhatFits) {
  const Bytes four(4);
  const auto error = [&](const std::string& name, SafetensorsEntry entry, std::map<std::string, std::string> metadata = {}) {
    return error_of([&] { write_safetensors(scratch(), {metadata, {{name, entry}}}); });
  };
  EXPECT_NE(error("a", {"F32", {2}, four}).find("has 4 bytes; its shape needs 8"), std::string::npos);
  EXPECT_NE(error("__metadata__", {"F32", {1}, four}).find("no tensor may be called"), std::string::npos);
  EXPECT_NE(error("\xff", {"F32", {1}, four}).find("is not UTF-8"), std::string::npos);
  EXPECT_NE(error("a", {"F99", {1}, four}).find("unknown dtype 'F99'"), std::string::npos);
  EXPECT_FALSE(fs::exists(scratch()));
}

}  // namespace
}  // namespace longview
