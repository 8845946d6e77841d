// Any checkpoint as a Hugging Face folder: config.json, model.safetensors, tokenizer.json and its companions.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "longview/base/json.h"
#include "longview/checkpoint/checkpoint.h"

namespace longview {

struct ExportOptions {
  BlockType type = BlockType::f32;                                 // F32, F16 or BF16; quantised weights are expanded, rounded once
  bool is_replacing = false;                                       // an earlier export of the same name
  std::function<bool(int64_t done, int64_t total)> progress = {};  // bytes of weights; false: stop, and leave nothing
};

struct ExportedFile {
  std::string name;
  int64_t bytes = 0;
};

/// Writes the folder as a whole or not at all. Throws before any work on what cannot be written for transformers, on a folder that
/// has files in it (with is_replacing: other files than an export's own), and where the disk has too little room.
std::vector<ExportedFile> export_hugging_face(const Checkpoint& checkpoint, const std::filesystem::path& folder,
                                              const ExportOptions& options);

/// config.json: what config_from_json reads as the same sizes.
Json config_to_json(const Checkpoint& checkpoint, BlockType type);
Json generation_config_to_json(const TokenizerSpec& spec);

}  // namespace longview
