// GGUF v2 and v3 files, mapped: metadata and tensors, checked before use.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "longview/base/file.h"
#include "longview/checkpoint/checkpoint.h"

namespace longview {

/// A metadata value; all whole numbers as int64 (uint64 beyond its range is refused), all reals as double.
using GgufValue = std::variant<bool, int64_t, double, std::string, std::vector<bool>, std::vector<int64_t>, std::vector<double>,
                               std::vector<std::string>>;

struct Gguf {
  std::map<std::string, GgufValue> metadata;
  std::map<std::string, StoredTensor> tensors;  // under the file's own names
};

/// Throws "[gguf] <file>: what is wrong" on anything truncated, overlapping, out of range, or of a type we do not read.
Gguf read_gguf(const MappedFile& file);

/// Bytes of a hostile or real file, for tests and fuzzers; `owner` keeps them.
Gguf read_gguf(std::span<const uint8_t> bytes, const std::shared_ptr<const void>& owner, const std::string& where);

/// Writes version 3 atomically. The tensors have shapes and types, and bytes or none; `make` is called for one after the other and
/// puts its bytes in any number of pieces. Whole numbers become u32, in lists i32; reals f32.
void write_gguf(const std::filesystem::path& path, const Gguf& plan,
                const std::function<void(const std::string& name, const std::function<void(std::span<const uint8_t>)>& put)>& make);

/// config, tokenizer and tensors under Hugging Face's names.
Checkpoint checkpoint_from_gguf(Gguf gguf, const std::filesystem::path& path);

}  // namespace longview
