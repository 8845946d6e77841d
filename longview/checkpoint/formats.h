// The readers behind open_checkpoint, one a file format (GGUF's is in gguf.h).
#pragma once

#include <filesystem>
#include <span>

#include "longview/base/file.h"
#include "longview/checkpoint/checkpoint.h"

namespace longview {

/// A folder with config.json, tokenizer.json and weights, or one of its files: config.json, an .index.json, a .safetensors.
Checkpoint open_hugging_face(const std::filesystem::path& path);

/// Whether the file's size is what its first 28 bytes, read as llama2.c's header, ask for.
bool looks_like_llama2c(std::span<const uint8_t> bytes);

/// llama2.c's .bin of version 0, with its tokenizer beside it: tokV.bin for a vocabulary of V, tokenizer.bin, or the only tok*.bin.
Checkpoint open_llama2c(const MappedFile& file);

}  // namespace longview
