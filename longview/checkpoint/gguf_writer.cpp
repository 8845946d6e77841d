// Writing GGUF v3: header, metadata, tensor table, then the tensors, each at a multiple of 32 bytes.
#include <cstring>

#include "longview/base/check.h"
#include "longview/checkpoint/gguf.h"

namespace longview {
namespace {

enum WrittenType : uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9 };

constexpr size_t kAlignment = 32;

class Head {
 public:
  template <class T>
  void add(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  void text(std::string_view value) {
    add<uint64_t>(value.size());
    bytes_ += value;
  }
  void key(const std::string& name, const GgufValue& value) {
    text(name);
    std::visit([&](const auto& one) { this->value(name, one); }, value);
  }
  void pad() { bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment); }
  const std::string& bytes() const { return bytes_; }

 private:
  void value(const std::string&, bool one) { add<uint32_t>(kBool), add<uint8_t>(one ? 1 : 0); }
  void value(const std::string& name, int64_t one) {
    LV_CHECK(one >= 0 && one <= UINT32_MAX, "[gguf] '{}' is {}, which 32 bits do not hold", name, one);
    add<uint32_t>(kU32), add(static_cast<uint32_t>(one));
  }
  void value(const std::string&, double one) { add<uint32_t>(kF32), add(static_cast<float>(one)); }
  void value(const std::string&, const std::string& one) { add<uint32_t>(kString), text(one); }
  void value(const std::string&, const std::vector<bool>& all) {
    list(kBool, all.size());
    for (const bool one : all) add<uint8_t>(one ? 1 : 0);
  }
  void value(const std::string&, const std::vector<int64_t>& all) {
    list(kI32, all.size());
    for (const int64_t one : all) add(static_cast<int32_t>(one));
  }
  void value(const std::string&, const std::vector<double>& all) {
    list(kF32, all.size());
    for (const double one : all) add(static_cast<float>(one));
  }
  void value(const std::string&, const std::vector<std::string>& all) {
    list(kString, all.size());
    for (const auto& one : all) text(one);
  }
  void list(WrittenType type, size_t size) { add<uint32_t>(kArray), add<uint32_t>(type), add<uint64_t>(size); }

  std::string bytes_;
};

size_t bytes_of(const StoredTensor& tensor) {
  const auto [values, bytes] = block_shape(tensor.type);
  int64_t all = 1;
  for (const int64_t dim : tensor.shape) all *= dim;
  return static_cast<size_t>(all / values * bytes);
}

uint32_t type_id(BlockType type) {
  switch (type) {
    case BlockType::f32: return 0;
    case BlockType::f16: return 1;
    case BlockType::q8_0: return 8;
    case BlockType::bf16: return 30;
    default: fail("[gguf] {} is read, not written; F32, F16, BF16 and Q8_0 are", block_name(type));
  }
}

}  // namespace

void write_gguf(
    const std::filesystem::path& path, const Gguf& plan,
    const std::function<void(const std::string& name, const std::function<void(std::span<const uint8_t>)>& put)>& make) {
  Head head;
  for (const char letter : {'G', 'G', 'U', 'F'}) head.add(letter);
  head.add<uint32_t>(3);
  head.add<uint64_t>(plan.tensors.size());
  head.add<uint64_t>(plan.metadata.size());
  for (const auto& [name, value] : plan.metadata) head.key(name, value);
  uint64_t offset = 0;
  for (const auto& [name, tensor] : plan.tensors) {
    head.text(name);
    head.add(static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i > 0; --i) head.add(static_cast<uint64_t>(tensor.shape[i - 1]));  // the innermost first
    head.add(type_id(tensor.type));
    head.add(offset);
    offset += (bytes_of(tensor) + kAlignment - 1) / kAlignment * kAlignment;
  }
  head.pad();
  AtomicFile file(path);
  file.write(head.bytes());
  for (const auto& [name, tensor] : plan.tensors) {
    size_t size = 0;
    make(name, [&](std::span<const uint8_t> piece) {
      file.write(piece.data(), piece.size());
      size += piece.size();
    });
    LV_CHECK(size == bytes_of(tensor), "[gguf] {}: tensor '{}' has {} bytes; its shape needs {}", path.string(), name, size,
             bytes_of(tensor));
    file.write(std::string((kAlignment - size % kAlignment) % kAlignment, '\0'));
  }
  file.commit();
}

}  // namespace longview
