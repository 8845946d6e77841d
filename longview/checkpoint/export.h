// Any checkpoint as a Hugging Face folder or as a GGUF file.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "longview/base/json.h"
#include "longview/checkpoint/checkpoint.h"

namespace longview {

struct ExportOptions {
  BlockType type = BlockType::f32;  // quantised weights are expanded and rounded once; those of this type keep their bits
  bool is_replacing = false;        // an earlier export of the same name
  std::function<bool(int64_t done, int64_t total)> progress = {};  // bytes of weights; false: stop, and leave nothing
};

struct ExportedFile {
  std::string name;
  int64_t bytes = 0;
};

/// config.json, model.safetensors, tokenizer.json and their companions, as a whole or not at all; F32, F16 or BF16. Throws before
/// any work on what cannot be written for transformers, on a folder that has files in it (with is_replacing: other files than an
/// export's own), and where the disk has too little room.
std::vector<ExportedFile> export_hugging_face(const Checkpoint& checkpoint, const std::filesystem::path& folder,
                                              const ExportOptions& options);

/// One file, as a whole or not at all; F32, F16, BF16 or Q8_0 for the matrices (F16 where a row does not divide into Q8_0's blocks),
/// F32 for the rest. Throws before any work on what GGUF has no words for: memory gates, scalings that llama.cpp has not.
ExportedFile export_gguf(const Checkpoint& checkpoint, const std::filesystem::path& file, const ExportOptions& options);

/// config.json: what config_from_json reads as the same sizes.
Json config_to_json(const Checkpoint& checkpoint, BlockType type);
Json generation_config_to_json(const TokenizerSpec& spec);

}  // namespace longview
