// Tensors that the golden scripts stored.
#pragma once

#include <filesystem>

#include "longview/base/file.h"
#include "longview/base/tensor.h"
#include "longview/checkpoint/safetensors.h"

namespace longview::testing {

/// The tensors of a safetensors file by name: F32, F64, I64.
inline std::map<std::string, Tensor> golden_tensors(const std::filesystem::path& path) {
  const MappedFile file(path);
  std::map<std::string, Tensor> out;
  for (const auto& [name, entry] : read_safetensors(file.bytes(), path.string()).tensors) {
    const auto type = entry.dtype == "I64" ? at::kLong : entry.dtype == "F64" ? at::kDouble : at::kFloat;
    const Tensor x = at::empty(entry.shape, type);
    LV_CHECK(static_cast<size_t>(x.nbytes()) == entry.bytes.size(), "[golden] {}: '{}' is {}", path.string(), name, entry.dtype);
    std::memcpy(x.data_ptr(), entry.bytes.data(), entry.bytes.size());
    out[name] = x;
  }
  return out;
}

}  // namespace longview::testing
