// safetensors files: mapped reading with every offset checked, and atomic writing.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "longview/base/file.h"

namespace longview {

struct SafetensorsEntry {
  std::string dtype;  // as the format spells it: "F32", "BF16", "I64", ...
  std::vector<int64_t> shape;
  std::span<const uint8_t> bytes;
};

struct Safetensors {
  std::map<std::string, std::string> metadata;
  std::map<std::string, SafetensorsEntry> tensors;
};

/// Throws "[safetensors] <where>: what is wrong" on a header that is truncated, not JSON, overlapping, out of range or of a
/// shape that does not fit its bytes.
Safetensors read_safetensors(std::span<const uint8_t> bytes, const std::string& where);

/// Bytes of one element of a dtype; throws on an unknown one.
int64_t safetensors_width(const std::string& dtype, const std::string& where);

/// Writes the file atomically; entries in the order of their names.
void write_safetensors(const std::filesystem::path& path, const Safetensors& content);

/// The same for tensors that are too large to be there all at once. The entries of `plan` have no bytes; `make` is called for one
/// after the other and puts its bytes, in any number of pieces that together are as many as its shape needs.
using PutBytes = std::function<void(std::span<const uint8_t>)>;
void write_safetensors(const std::filesystem::path& path, const Safetensors& plan,
                       const std::function<void(const std::string& name, const PutBytes& put)>& make);

}  // namespace longview
