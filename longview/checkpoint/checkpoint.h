// A checkpoint of any supported file format behind one face: sizes, tokenizer, and tensors under Hugging Face's names.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "longview/checkpoint/blocks.h"
#include "longview/checkpoint/config.h"
#include "longview/text/tokenizer.h"

namespace longview {

/// A tensor as it lies in the file; outermost dimension first, rows contiguous.
struct StoredTensor {
  std::vector<int64_t> shape;
  BlockType type = BlockType::f32;
  std::span<const uint8_t> bytes;           // in the mapped file
  std::shared_ptr<const void> owner = {};   // keeps the mapping; its pages are given back once they were read
  std::shared_ptr<const void> values = {};  // keeps bytes that were made in memory, in place of a mapping
};

struct Checkpoint {
  std::filesystem::path path;
  ModelConfig config;
  TokenizerSpec tokenizer;
  std::map<std::string, StoredTensor> tensors;  // "model.layers.0.self_attn.q_proj.weight", ...
  uint64_t fingerprint = 0;                     // xxh3 of the sizes, names, types and a sample of every tensor's bytes
};

/// Opens a GGUF file; a folder with config.json and one or several .safetensors (or its .safetensors or index.json file); or
/// llama2.c's .bin (with tokenizer.bin or tok*.bin beside it). Every needed tensor is present with the right shape, or it throws.
Checkpoint open_checkpoint(const std::filesystem::path& path);

/// What open_checkpoint puts into `fingerprint`, for a checkpoint that was changed since. Reads some thousand pages of a large file.
uint64_t fingerprint_of(const Checkpoint& checkpoint);

/// Throws "[checkpoint] tensor 'NAME' has weights that are not finite" on NaN or infinity. One pass over the scales of a block
/// format, over every value of F32, F16 and BF16; the model's loader calls it for each tensor as it packs.
void check_finite(const std::string& name, const StoredTensor& tensor);

}  // namespace longview
