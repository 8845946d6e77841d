// A checkpoint as a GGUF file: keys, names and the order of rows as llama.cpp's converter writes them (convert_hf_to_gguf.py).
#include <cmath>
#include <cstring>
#include <tuple>

#include "longview/base/fields.h"
#include "longview/base/names.h"
#include "longview/checkpoint/export.h"
#include "longview/checkpoint/export_target.h"
#include "longview/checkpoint/gguf.h"
#include "longview/checkpoint/gguf_tokenizer_keys.h"
#include "longview/checkpoint/put_weights.h"
#include "longview/checkpoint/rope_setting.h"
#include "longview/checkpoint/tensor_names.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

/// The number of llama.cpp's LLAMA_FTYPE.
int64_t file_type(BlockType type) {
  return type == BlockType::f32 ? 0 : type == BlockType::f16 ? 1 : type == BlockType::q8_0 ? 7 : 32;
}

/// A mistral calls itself llama there, and rows of Q and K pair neighbours under that name alone.
std::string gguf_architecture(const ModelConfig& c) { return c.architecture == "mistral" ? "llama" : c.architecture; }

void add_scaling(Gguf& plan, const std::string& at, const ModelConfig& c, std::vector<float>& divisors) {
  if (c.rope_scaling.empty()) return;
  const Setting setting = parse_setting(c.rope_scaling);
  const auto value = [&](const char* key) { return to_real(setting.name, key, setting.values.at(key)); };
  if (setting.name == "llama3") {
    divisors = divisors_of_setting(c.rope_scaling, c.rope_base, c.head_width / 2);
    const std::span bytes(reinterpret_cast<const uint8_t*>(divisors.data()), divisors.size() * sizeof(float));
    plan.tensors["rope_freqs.weight"] = {{c.head_width / 2}, BlockType::f32, bytes, nullptr};
    return;
  }
  LV_CHECK(setting.name == "linear" || setting.name == "yarn", "[convert] GGUF has no words for the rotary scaling {}",
           c.rope_scaling);
  plan.metadata[at + "type"] = setting.name;
  plan.metadata[at + "factor"] = value("factor");
  if (setting.name == "linear") return;
  plan.metadata[at + "original_context_length"] = to_int("yarn", "original", setting.values.at("original"));
  for (const char* key : {"beta_fast", "beta_slow"})
    if (setting.values.contains(key)) plan.metadata[at + "yarn_" + key] = value(key);
  if (setting.values.contains("attention_factor"))
    plan.metadata[at + "attn_factor"] = value("attention_factor") / (0.1 * std::log(std::max(1.0, value("factor"))) + 1);
}

void add_sizes(Gguf& plan, const ModelConfig& c, BlockType type) {
  const std::string architecture = gguf_architecture(c), at = architecture + ".";
  auto& keys = plan.metadata;
  keys["general.architecture"] = architecture;
  keys["general.name"] = c.name;
  keys["general.file_type"] = file_type(type);
  keys["general.quantization_version"] = int64_t{2};
  keys[at + "block_count"] = c.layers;
  keys[at + "context_length"] = c.trained_length;
  keys[at + "embedding_length"] = c.width;
  keys[at + "feed_forward_length"] = c.feed_forward;
  keys[at + "attention.head_count"] = c.heads;
  keys[at + "attention.head_count_kv"] = c.kv_heads;
  keys[at + "attention.key_length"] = c.head_width;
  keys[at + "attention.value_length"] = c.head_width;
  keys[at + "attention.layer_norm_rms_epsilon"] = c.norm_epsilon;
  keys[at + "rope.dimension_count"] = c.head_width;
  keys[at + "rope.freq_base"] = c.rope_base;
  keys[at + "vocab_size"] = c.vocabulary;
  if (c.sliding_window > 0) keys[at + "attention.sliding_window"] = c.sliding_window;
}

/// llama.cpp multiplies by vectors in f32 only, and falls back to F16 where a row is no whole number of blocks.
BlockType stored_type(const StoredTensor& tensor, BlockType wanted) {
  if (tensor.shape.size() < 2) return BlockType::f32;
  return tensor.shape.back() % block_shape(wanted).values == 0 ? wanted : BlockType::f16;
}

/// What our own reader makes of the plan must be the checkpoint.
void check_plan(const Gguf& plan, const Checkpoint& meant) {
  const Checkpoint read = checkpoint_from_gguf(plan, meant.path);
  const auto sizes = [](const ModelConfig& c) {
    return std::tie(c.layers, c.width, c.heads, c.kv_heads, c.head_width, c.feed_forward, c.vocabulary, c.trained_length,
                    c.sliding_window, c.rope_base, c.norm_epsilon, c.tied_head, c.rope_scaling);
  };
  LV_CHECK(sizes(read.config) == sizes(meant.config), "[convert] GGUF cannot hold the sizes of {}{}", meant.config.name,
           meant.config.rope_scaling.empty() ? "" : ", or its scaling " + meant.config.rope_scaling);
  const auto steps = [](const TokenizerSpec& s) {
    return std::tie(s.model, s.split, s.bos, s.eos, s.add_bos, s.add_eos, s.add_space_prefix, s.space_prefix, s.ignore_merges,
                    s.nfc);
  };
  LV_CHECK(steps(read.tokenizer) == steps(meant.tokenizer), "[convert] GGUF has no words for the steps of this tokenizer");
}

}  // namespace

ExportedFile export_gguf(const Checkpoint& checkpoint, const fs::path& file, const ExportOptions& options) {
  const ModelConfig& c = checkpoint.config;
  LV_CHECK(c.memory_gate.empty() && c.attention.empty(),
           "[convert] GGUF has no words for a memory ({}); --drop-infini leaves it out", c.attention);
  LV_CHECK(c.position.empty() && c.normalized.empty(), "[convert] GGUF has no words for {}",
           c.position.empty() ? "normalised " + c.normalized : "the position " + c.position);
  Gguf plan;
  std::vector<float> divisors;
  add_sizes(plan, c, options.type);
  add_scaling(plan, gguf_architecture(c) + ".rope.scaling.", c, divisors);
  add_tokenizer_keys(plan, checkpoint.tokenizer, c.vocabulary);
  std::map<std::string, std::string> source;  // by the name in the file
  int64_t total = 0, done = 0;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    const std::string known = gguf_name(name);
    source[known] = name;
    plan.tensors[known] = {tensor.shape, stored_type(tensor, options.type), {}, nullptr};
    total += static_cast<int64_t>(tensor.bytes.size());
  }
  check_plan(plan, checkpoint);
  check_apart(checkpoint.path, file);
  LV_CHECK(!fs::is_directory(file), "[convert] '{}' is a folder; give a file to write", file.string());
  LV_CHECK(!fs::exists(file) || options.is_replacing, "[convert] '{}' exists; --force replaces it", file.string());
  const bool is_neighbours = gguf_architecture(c) == "llama";
  const RowAt order = is_neighbours == c.interleaved_rotary ? RowAt()
                      : is_neighbours                       ? neighbours_from_halves(c.head_width)
                                                            : halves_from_neighbours(c.head_width);
  write_gguf(file, plan, [&](const std::string& name, const std::function<void(std::span<const uint8_t>)>& put) {
    const auto from = source.find(name);
    if (from == source.end()) return put(plan.tensors.at(name).bytes);  // the divisors
    const StoredTensor& tensor = checkpoint.tensors.at(from->second);
    put_weights(from->second, tensor, plan.tensors.at(name).type, is_rotated(from->second) ? order : RowAt(), put);
    done += static_cast<int64_t>(tensor.bytes.size());
    LV_CHECK(!options.progress || options.progress(done, total), "[convert] interrupted; nothing was written");
    if (tensor.owner && tensor.shape.size() > 1) release_pages(tensor.bytes);
  });
  return {file.filename().string(), static_cast<int64_t>(fs::file_size(file))};
}

}  // namespace longview
