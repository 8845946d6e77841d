// GGUF v2 and v3, little-endian (github.com/ggml-org/ggml/blob/master/docs/gguf.md): header, metadata, tensor table, data.
// Whatever a file says is checked against the bytes it has before it is used or gives anything its size.
#include "longview/checkpoint/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "longview/base/check.h"
#include "longview/base/names.h"

namespace longview {
namespace {

enum ValueType : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

class Cursor {
 public:
  Cursor(std::span<const uint8_t> bytes, const std::string& where) : bytes_(bytes), where_(where) {}
  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }
  const std::string& where() const { return where_; }

  template <class T>
  T read(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof value, what), sizeof value);
    return value;
  }

  std::string text(std::string_view what) {
    const auto length = read<uint64_t>(what);
    LV_CHECK(length <= left(), "[gguf] {}: {} at byte {} says it has {} characters; the file has {} more bytes", where_, what, at_,
             length, left());
    const auto* first = reinterpret_cast<const char*>(take(length, what));
    return {first, length};
  }

  /// A count whose items take at least `smallest` bytes each.
  size_t count(uint64_t said, size_t smallest, std::string_view what) {
    LV_CHECK(said <= left() / smallest,
             "[gguf] {}: says it has {} {}; its {} remaining bytes cannot hold them; is the download complete?", where_, said, what,
             left());
    return said;
  }

 private:
  const uint8_t* take(size_t size, std::string_view what) {
    LV_CHECK(size <= left(), "[gguf] {}: ends at byte {} inside {}; is the download complete?", where_, bytes_.size(), what);
    at_ += size;
    return bytes_.data() + (at_ - size);
  }

  std::span<const uint8_t> bytes_;
  const std::string& where_;
  size_t at_ = 0;
};

int64_t signed_of(uint64_t value, const Cursor& in, const std::string& key) {
  LV_CHECK(value <= INT64_MAX, "[gguf] {}: '{}' is {}, more than a signed 64-bit number holds", in.where(), key, value);
  return static_cast<int64_t>(value);
}

bool read_bool(Cursor& in, const std::string& key) {
  const auto value = in.read<uint8_t>(key);
  LV_CHECK(value <= 1, "[gguf] {}: '{}' is a yes or no, stored as 0 or 1; got {}", in.where(), key, value);
  return value == 1;
}

bool is_integer(uint32_t type) { return type <= kI32 || type == kU64 || type == kI64; }
bool is_real(uint32_t type) { return type == kF32 || type == kF64; }

int64_t read_integer(Cursor& in, uint32_t type, const std::string& key) {
  switch (type) {
    case kU8: return in.read<uint8_t>(key);
    case kI8: return in.read<int8_t>(key);
    case kU16: return in.read<uint16_t>(key);
    case kI16: return in.read<int16_t>(key);
    case kU32: return in.read<uint32_t>(key);
    case kI32: return in.read<int32_t>(key);
    case kU64: return signed_of(in.read<uint64_t>(key), in, key);
    default: return in.read<int64_t>(key);
  }
}

double read_real(Cursor& in, uint32_t type, const std::string& key) {
  return type == kF32 ? static_cast<double>(in.read<float>(key)) : in.read<double>(key);
}

size_t width_of(uint32_t type, const Cursor& in, const std::string& key) {
  constexpr size_t kWidths[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};  // a string at least its length, an array its head
  LV_CHECK(type <= kF64, "[gguf] {}: '{}' has value type {}; known are 0 to 12", in.where(), key, type);
  return kWidths[type];
}

template <class T>
std::vector<T> many(size_t count, const auto& read_one) {
  std::vector<T> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(read_one());
  return out;
}

GgufValue read_array(Cursor& in, const std::string& key) {
  const auto type = in.read<uint32_t>(key);
  const size_t count = in.count(in.read<uint64_t>(key), width_of(type, in, key), "items in '" + key + "'");
  LV_CHECK(type != kArray, "[gguf] {}: '{}' is an array of arrays, which no model we load uses", in.where(), key);
  if (type == kString) return many<std::string>(count, [&] { return in.text(key); });
  if (type == kBool) return many<bool>(count, [&] { return read_bool(in, key); });
  if (is_real(type)) return many<double>(count, [&] { return read_real(in, type, key); });
  return many<int64_t>(count, [&] { return read_integer(in, type, key); });
}

GgufValue read_value(Cursor& in, const std::string& key) {
  const auto type = in.read<uint32_t>(key);
  width_of(type, in, key);
  if (type == kString) return in.text(key);
  if (type == kArray) return read_array(in, key);
  if (type == kBool) return read_bool(in, key);
  if (is_integer(type)) return read_integer(in, type, key);
  return read_real(in, type, key);
}

struct TypeId {
  uint32_t id;
  BlockType type;
};
constexpr TypeId kTypes[] = {{0, BlockType::f32},   {1, BlockType::f16},   {2, BlockType::q4_0},  {3, BlockType::q4_1},
                             {6, BlockType::q5_0},  {7, BlockType::q5_1},  {8, BlockType::q8_0},  {10, BlockType::q2_k},
                             {11, BlockType::q3_k}, {12, BlockType::q4_k}, {13, BlockType::q5_k}, {14, BlockType::q6_k},
                             {30, BlockType::bf16}};

std::string foreign_type(uint32_t id) {
  constexpr std::string_view kNames[] = {
      "",    "",      "",        "",       "Q4_2",    "Q4_3",  "",       "",      "",      "Q8_1",   "",   "",      "",     "",
      "",    "Q8_K",  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16",   "I32",  "I64",
      "F64", "IQ1_M", "",        "",       "",        "",      "TQ1_0",  "TQ2_0", "",      "",       "",   "MXFP4", "NVFP4"};
  return id < std::size(kNames) && !kNames[id].empty() ? std::string(kNames[id]) : fmt::format("number {}", id);
}

BlockType tensor_type(uint32_t id, const Cursor& in, const std::string& name) {
  for (const auto& [known_id, type] : kTypes)
    if (known_id == id) return type;
  std::vector<std::string> known;
  for (const auto& [known_id, type] : kTypes) known.emplace_back(block_name(type));
  fail("[gguf] {}: tensor '{}' is stored as {}, which is not read; known: {}", in.where(), name, foreign_type(id), listed(known));
}

struct TensorRow {
  std::string name;
  StoredTensor tensor;
  uint64_t offset = 0;
  int64_t size = 0;  // bytes
};

TensorRow read_tensor_row(Cursor& in) {
  TensorRow row;
  row.name = in.text("a tensor's name");
  LV_CHECK(!row.name.empty(), "[gguf] {}: a tensor has no name", in.where());
  const auto dims = in.read<uint32_t>("the tensor table");
  LV_CHECK(dims >= 1 && dims <= 4, "[gguf] {}: tensor '{}' has {} dimensions; 1 to 4 are allowed", in.where(), row.name, dims);
  int64_t values = 1;
  for (uint32_t i = 0; i < dims; ++i) {
    const auto dim = in.read<uint64_t>("the tensor table");
    LV_CHECK(dim > 0, "[gguf] {}: tensor '{}' has a dimension of 0", in.where(), row.name);
    const bool overflows = dim > INT64_MAX || __builtin_mul_overflow(values, static_cast<int64_t>(dim), &values);
    LV_CHECK(!overflows, "[gguf] {}: the dimensions of tensor '{}' multiply to more than 2^63", in.where(), row.name);
    row.tensor.shape.insert(row.tensor.shape.begin(), static_cast<int64_t>(dim));  // the file lists the innermost first
  }
  row.tensor.type = tensor_type(in.read<uint32_t>("the tensor table"), in, row.name);
  const auto [block_values, block_bytes] = block_shape(row.tensor.type);
  LV_CHECK(row.tensor.shape.back() % block_values == 0, "[gguf] {}: rows of tensor '{}' have {} weights, not a multiple of {}'s {}",
           in.where(), row.name, row.tensor.shape.back(), block_name(row.tensor.type), block_values);
  LV_CHECK(!__builtin_mul_overflow(values / block_values, block_bytes, &row.size),
           "[gguf] {}: tensor '{}' has more than 2^63 bytes", in.where(), row.name);
  row.offset = in.read<uint64_t>("the tensor table");
  return row;
}

size_t alignment_of(const Gguf& gguf, const std::string& where) {
  const auto found = gguf.metadata.find("general.alignment");
  if (found == gguf.metadata.end()) return 32;
  const auto* value = std::get_if<int64_t>(&found->second);
  LV_CHECK(value && *value > 0 && *value <= (1 << 20) && std::has_single_bit(static_cast<uint64_t>(*value)),
           "[gguf] {}: 'general.alignment' must be a power of two up to 1048576", where);
  return static_cast<size_t>(*value);
}

void place_tensors(Gguf& gguf, std::vector<TensorRow> rows, std::span<const uint8_t> data, size_t alignment,
                   const std::shared_ptr<const void>& owner, const std::string& where) {
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  uint64_t end = 0;
  for (auto& row : rows) {
    LV_CHECK(row.offset % alignment == 0, "[gguf] {}: tensor '{}' starts at byte {} of the data, not a multiple of {}", where,
             row.name, row.offset, alignment);
    LV_CHECK(row.offset <= data.size() && static_cast<uint64_t>(row.size) <= data.size() - row.offset,
             "[gguf] {}: tensor '{}' needs {} bytes from byte {} of the data, which has {}; is the download complete?", where,
             row.name, row.size, row.offset, data.size());
    LV_CHECK(row.offset >= end, "[gguf] {}: tensor '{}' overlaps the one before it", where, row.name);
    end = row.offset + static_cast<uint64_t>(row.size);
    row.tensor.bytes = data.subspan(row.offset, static_cast<size_t>(row.size));
    row.tensor.owner = owner;
    const bool added = gguf.tensors.try_emplace(row.name, std::move(row.tensor)).second;
    LV_CHECK(added, "[gguf] {}: tensor '{}' is there twice", where, row.name);
  }
}

void check_header(Cursor& in) {
  const auto magic = in.read<std::array<char, 4>>("the header");
  LV_CHECK(std::string_view(magic.data(), 4) == "GGUF", "[gguf] {}: does not begin with 'GGUF'", in.where());
  const auto version = in.read<uint32_t>("the header");
  LV_CHECK(version != 0 && (version & 0xffff) != 0, "[gguf] {}: is big-endian; only little-endian files are read", in.where());
  LV_CHECK(version == 2 || version == 3, "[gguf] {}: is GGUF version {}; 2 and 3 are read", in.where(), version);
}

}  // namespace

Gguf read_gguf(std::span<const uint8_t> bytes, const std::shared_ptr<const void>& owner, const std::string& where) {
  static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies");
  Cursor in(bytes, where);
  check_header(in);
  const auto tensor_count = in.read<uint64_t>("the header");
  const auto key_count = in.read<uint64_t>("the header");
  Gguf gguf;
  for (size_t i = in.count(key_count, 8 + 4 + 1, "keys"); i > 0; --i) {
    const std::string key = in.text("a key");
    LV_CHECK(!key.empty() && key.size() <= 65535, "[gguf] {}: a key of {} characters; 1 to 65535 are allowed", where, key.size());
    const bool added = gguf.metadata.try_emplace(key, read_value(in, key)).second;
    LV_CHECK(added, "[gguf] {}: key '{}' is there twice", where, key);
  }
  std::vector<TensorRow> rows;
  for (size_t i = in.count(tensor_count, 8 + 1 + 4 + 8 + 4 + 8, "tensors"); i > 0; --i) rows.push_back(read_tensor_row(in));
  if (rows.empty()) return gguf;
  const size_t alignment = alignment_of(gguf, where);
  const size_t start = (in.at() + alignment - 1) / alignment * alignment;
  LV_CHECK(start <= bytes.size(), "[gguf] {}: ends at byte {}, before its tensors' data; is the download complete?", where,
           bytes.size());
  place_tensors(gguf, std::move(rows), bytes.subspan(start), alignment, owner, where);
  return gguf;
}

Gguf read_gguf(const MappedFile& file) { return read_gguf(file.bytes(), std::make_shared<MappedFile>(file), file.path().string()); }

}  // namespace longview
