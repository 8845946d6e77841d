// A checkpoint as the folder that transformers reads.
#include <set>
#include <tuple>

#include "longview/base/check.h"
#include "longview/base/file.h"
#include "longview/base/folder.h"
#include "longview/checkpoint/export.h"
#include "longview/checkpoint/export_target.h"
#include "longview/checkpoint/hf_config.h"
#include "longview/checkpoint/put_weights.h"
#include "longview/checkpoint/safetensors.h"
#include "longview/checkpoint/tensor_names.h"
#include "longview/text/tokenizer_writer.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "model.safetensors";

/// What is read back must be what was meant: a setting that config.json has no words for is found here.
void check_config(const Json& json, const ModelConfig& meant) {
  const ModelConfig read = config_from_json(json, "config.json");
  LV_CHECK(read.rope_scaling == meant.rope_scaling,
           "[convert] config.json has no words for the rotary scaling {}; what it can say is {}", meant.rope_scaling,
           read.rope_scaling.empty() ? "none" : read.rope_scaling);
  const auto sizes = [](const ModelConfig& c) {
    return std::tie(c.layers, c.width, c.heads, c.kv_heads, c.head_width, c.feed_forward, c.vocabulary, c.trained_length,
                    c.sliding_window, c.norm_epsilon, c.rope_base, c.tied_head, c.attention, c.memory_gate, c.position,
                    c.normalized, c.score_scale);
  };
  LV_CHECK(sizes(read) == sizes(meant), "[convert] config.json cannot hold the sizes of {}", meant.name);
}

void check_folder(const fs::path& folder, bool is_replacing) {
  LV_CHECK(!fs::exists(folder) || fs::is_directory(folder), "[convert] '{}' is a file; give a folder to write", folder.string());
  if (!fs::is_directory(folder)) return;
  static const std::set<std::string> ours = {"config.json", "generation_config.json", kWeights, "tokenizer.json",
                                             "tokenizer_config.json"};
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    LV_CHECK(is_replacing, "[convert] '{}' is not empty; --force replaces what was converted before", folder.string());
    LV_CHECK(ours.contains(name) && entry.is_regular_file(), "[convert] '{}' holds '{}', which is not replaced; remove it first",
             folder.string(), name);
  }
}

/// The memory's gates and what a method learned stay f32: they are few, and small steps matter to them.
BlockType type_of(const std::string& name, BlockType wanted) {
  return name.ends_with(".memory_gate") || is_method_value(name) ? BlockType::f32 : wanted;
}

Safetensors plan_of(const Checkpoint& checkpoint, BlockType type) {
  Safetensors plan;
  plan.metadata["format"] = "pt";  // transformers refuses a file that does not say it
  for (const auto& [name, tensor] : checkpoint.tensors)
    plan.tensors[name] = {std::string(block_name(type_of(name, type))), tensor.shape, {}};
  return plan;
}

int64_t bytes_of_plan(const Safetensors& plan) {
  int64_t sum = 0;
  for (const auto& [name, entry] : plan.tensors) {
    int64_t values = 1;
    for (const int64_t dim : entry.shape) values *= dim;
    sum += values * safetensors_width(entry.dtype, name);
  }
  return sum;
}

void write_weights(const Checkpoint& checkpoint, const fs::path& path, const Safetensors& plan, const ExportOptions& options) {
  const ModelConfig& c = checkpoint.config;
  const int64_t total = bytes_of_plan(plan);
  int64_t done = 0;
  write_safetensors(path, plan, [&](const std::string& name, const PutBytes& put) {
    const StoredTensor& tensor = checkpoint.tensors.at(name);
    const RowAt row = c.interleaved_rotary && is_rotated(name) ? halves_from_neighbours(c.head_width) : RowAt();
    put_weights(name, tensor, type_of(name, options.type), row, [&](std::span<const uint8_t> piece) {
      put(piece);
      done += static_cast<int64_t>(piece.size());
      LV_CHECK(!options.progress || options.progress(done, total), "[convert] interrupted; nothing was written");
    });
    if (tensor.owner && tensor.shape.size() > 1) release_pages(tensor.bytes);  // so that memory does not grow with the file
  });
}

}  // namespace

std::vector<ExportedFile> export_hugging_face(const Checkpoint& checkpoint, const fs::path& folder, const ExportOptions& options) {
  const BlockType type = options.type;
  LV_CHECK(type == BlockType::f32 || type == BlockType::f16 || type == BlockType::bf16,
           "[convert] a Hugging Face folder holds F32, F16 or BF16; got {}", block_name(type));
  const Json config = config_to_json(checkpoint, type);
  check_config(config, checkpoint.config);
  const std::vector<std::pair<std::string, std::string>> texts = {
      {"config.json", config.dump(2) + "\n"},
      {"generation_config.json", generation_config_to_json(checkpoint.tokenizer).dump(2) + "\n"},
      {"tokenizer.json", tokenizer_to_json(checkpoint.tokenizer)},
      {"tokenizer_config.json", tokenizer_config_to_json(checkpoint.tokenizer, checkpoint.config.trained_length)}};
  check_apart(checkpoint.path, folder);
  check_folder(folder, options.is_replacing);
  const Safetensors plan = plan_of(checkpoint, type);
  AtomicFolder out(folder);
  check_room(out / "", bytes_of_plan(plan) + (int64_t{16} << 20));
  for (const auto& [name, text] : texts) write_file(out / name, text);
  write_weights(checkpoint, out / kWeights, plan, options);
  std::vector<ExportedFile> files;
  for (const auto& [name, text] : texts) files.push_back({name, static_cast<int64_t>(text.size())});
  files.push_back({kWeights, static_cast<int64_t>(fs::file_size(out / kWeights))});
  out.commit();
  return files;
}

}  // namespace longview
