// Adapters on disk, and into weights.
#include "longview/checkpoint/adapter.h"

#include <algorithm>
#include <set>

#include "longview/base/file.h"
#include "longview/base/folder.h"
#include "longview/base/json.h"
#include "longview/checkpoint/hf_config.h"
#include "longview/checkpoint/put_weights.h"
#include "longview/checkpoint/safetensors.h"
#include "longview/checkpoint/tensor_names.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

constexpr const char *kConfig = "adapter_config.json", *kTensors = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.", kWeight = ".weight", kA = ".lora_A.weight", kB = ".lora_B.weight";

std::string stem(const std::string& weight) { return weight.substr(0, weight.size() - kWeight.size()); }

/// The weight that an A or B belongs to.
std::string weight_of(const std::string& name) { return name.substr(0, name.size() - kA.size()) + std::string(kWeight); }

StoredTensor held(std::vector<int64_t> shape, std::vector<float> values) {
  const auto keep = std::make_shared<std::vector<float>>(std::move(values));
  return {
      std::move(shape), BlockType::f32, {reinterpret_cast<const uint8_t*>(keep->data()), keep->size() * sizeof(float)}, {}, keep};
}

std::vector<float> floats(const std::string& name, const StoredTensor& stored, const RowAt& row) {
  int64_t count = 1;
  for (const int64_t dim : stored.shape) count *= dim;
  std::vector<float> out(static_cast<size_t>(count));
  auto* to = reinterpret_cast<uint8_t*>(out.data());
  put_weights(name, stored, BlockType::f32, row,
              [&](std::span<const uint8_t> piece) { to = std::copy(piece.begin(), piece.end(), to); });
  return out;
}

void check_pairs(const Adapter& adapter, const std::string& where) {
  int64_t pairs = 0;
  for (const auto& [name, tensor] : adapter.tensors) {
    if (!is_adapter(name)) continue;
    const std::string weight = weight_of(name);
    const auto a = adapter.tensors.find(adapter_a(weight)), b = adapter.tensors.find(adapter_b(weight));
    LV_CHECK(a != adapter.tensors.end() && b != adapter.tensors.end(), "[adapter] {}: '{}' has no partner", where, name);
    LV_CHECK(a->second.shape.size() == 2 && b->second.shape.size() == 2 && a->second.shape[0] == b->second.shape[1] &&
                 a->second.shape[0] >= 1,
             "[adapter] {}: the shapes of A and B of '{}' do not go together", where, weight);
    ++pairs;
  }
  LV_CHECK(pairs > 0 || !adapter.tensors.empty(), "[adapter] {}: there are no tensors in it", where);
}

int64_t rank_of(const Adapter& adapter) {
  for (const auto& [name, tensor] : adapter.tensors)
    if (name.ends_with(kA)) return tensor.shape[0];
  return 0;
}

/// W + scale B A, both row by row.
void add_product(std::vector<float>& weight, const std::vector<float>& a, const std::vector<float>& b, int64_t rank, double scale) {
  const auto r = static_cast<size_t>(rank), inputs = a.size() / r;
  for (size_t row = 0; row < weight.size() / inputs; ++row)
    for (size_t n = 0; n < r; ++n) {
      const float share = static_cast<float>(scale) * b[row * r + n];
      for (size_t i = 0; i < inputs; ++i) weight[row * inputs + i] += share * a[n * inputs + i];
    }
}

}  // namespace

std::string adapter_a(const std::string& weight) { return stem(weight) + std::string(kA); }
std::string adapter_b(const std::string& weight) { return stem(weight) + std::string(kB); }
bool is_adapter(const std::string& name) { return name.ends_with(kA) || name.ends_with(kB); }

bool is_adapter_folder(const fs::path& folder) {
  return fs::is_regular_file(folder / kConfig) && !fs::exists(folder / "config.json");
}

Adapter read_adapter(const fs::path& folder) {
  LV_CHECK(fs::is_regular_file(folder / kConfig), "[adapter] '{}' has no {}: give a folder that PEFT or longview train wrote",
           folder.string(), kConfig);
  const std::string where = (folder / kConfig).string();
  const Json json = parse_json(read_text(folder / kConfig), where);
  LV_CHECK(json.is_object(), "[adapter] {}: must be a JSON object", where);
  const JsonKeys keys(json, where);
  LV_CHECK(keys.text("peft_type").value_or("") == "LORA", "[adapter] {}: peft_type '{}' is not read; LORA is", where,
           keys.text("peft_type").value_or(""));
  for (const char* other : {"use_dora", "use_rslora", "fan_in_fan_out", "lora_bias"})
    LV_CHECK(!keys.truth(other).value_or(false), "[adapter] {}: {} is not read", where, other);
  const auto empty = [&](const char* key) { return !keys.find(key) || keys.find(key)->is_null() || keys.find(key)->empty(); };
  LV_CHECK(empty("alpha_pattern") && empty("rank_pattern"),
           "[adapter] {}: ranks and alphas that differ between weights are not read", where);
  Adapter out;
  out.alpha = keys.real("lora_alpha").value_or(0);
  LV_CHECK(out.alpha > 0, "[adapter] {}: lora_alpha must be above 0; got {}", where, out.alpha);
  out.base = keys.text("base_model_name_or_path").value_or("");
  out.position = keys.text("longview_position").value_or("");
  out.attention = keys.text("longview_attention").value_or("");
  out.memory_gate = keys.text("longview_memory_gate").value_or("");
  const auto file = std::make_shared<MappedFile>(folder / kTensors);
  const std::string file_name = (folder / kTensors).string();
  for (const auto& [name, entry] : read_safetensors(file->bytes(), file_name).tensors) {
    LV_CHECK(name.starts_with(kPrefix), "[adapter] {}: '{}' does not begin with {}", file_name, name, kPrefix);
    BlockType type = BlockType::f32;
    if (entry.dtype == "F16") type = BlockType::f16;
    else if (entry.dtype == "BF16") type = BlockType::bf16;
    else
      LV_CHECK(entry.dtype == "F32", "[adapter] {}: '{}' is stored as {}; F32, F16 and BF16 are read", file_name, name,
               entry.dtype);
    out.tensors[name.substr(kPrefix.size())] = {entry.shape, type, entry.bytes, file};
  }
  check_pairs(out, file_name);
  return out;
}

void write_adapter(const fs::path& folder, const Adapter& adapter) {
  check_pairs(adapter, folder.string());
  std::set<std::string> targets;
  Safetensors file;
  file.metadata["format"] = "pt";
  for (const auto& [name, tensor] : adapter.tensors) {
    file.tensors[std::string(kPrefix) + name] = {std::string(block_name(tensor.type)), tensor.shape, tensor.bytes};
    if (!is_adapter(name)) continue;
    const std::string weight = stem(weight_of(name));
    targets.insert(weight.substr(weight.rfind('.') + 1));
  }
  Json config = {{"peft_type", "LORA"},   {"task_type", "CAUSAL_LM"},    {"base_model_name_or_path", adapter.base},
                 {"r", rank_of(adapter)}, {"lora_alpha", adapter.alpha}, {"lora_dropout", 0.0},
                 {"bias", "none"},        {"target_modules", targets},   {"inference_mode", true}};
  if (!adapter.position.empty()) config["longview_position"] = adapter.position;
  if (!adapter.attention.empty()) config["longview_attention"] = adapter.attention;
  if (!adapter.memory_gate.empty()) config["longview_memory_gate"] = adapter.memory_gate;
  AtomicFolder out(folder);
  write_file(out / kConfig, config.dump(2) + "\n");
  write_safetensors(out / kTensors, file);
  out.commit();
}

Adapter stored_as(const Adapter& adapter, BlockType type) {
  LV_CHECK(type == BlockType::f32 || type == BlockType::bf16 || type == BlockType::f16,
           "[adapter] adapters are stored as f32, bf16 or f16; got {}", block_name(type));
  Adapter out = adapter;
  for (auto& [name, tensor] : out.tensors) {
    if (!is_adapter(name)) continue;
    const auto keep = std::make_shared<std::vector<uint8_t>>();
    put_weights(name, tensor, type, {},
                [&](std::span<const uint8_t> piece) { keep->insert(keep->end(), piece.begin(), piece.end()); });
    tensor = {tensor.shape, type, *keep, {}, keep};
  }
  return out;
}

Checkpoint merged(const Checkpoint& checkpoint, const Adapter& adapter) {
  Checkpoint out = checkpoint;
  const bool is_turned = checkpoint.config.interleaved_rotary;
  const int64_t D = checkpoint.config.head_width;
  if (is_turned)  // an adapter's rows are in the order of halves, and one model has one order
    for (auto& [name, tensor] : out.tensors)
      if (is_rotated(name)) tensor = held(tensor.shape, floats(name, tensor, halves_from_neighbours(D)));
  out.config.interleaved_rotary = false;
  if (!adapter.position.empty()) out.config.position = adapter.position;
  if (!adapter.attention.empty()) out.config.attention = adapter.attention;
  if (!adapter.memory_gate.empty()) out.config.memory_gate = adapter.memory_gate;
  const auto needed = needed_tensors(out.config);
  for (const auto& [name, tensor] : adapter.tensors) {
    if (is_adapter(name)) continue;
    const auto known = needed.find(name);
    LV_CHECK(is_method_value(name) || (known != needed.end() && known->second == tensor.shape), "[adapter] '{}' does not fit {}",
             name, checkpoint.config.name);
    out.tensors[name] = tensor;
  }
  for (const auto& [name, a] : adapter.tensors) {
    if (!name.ends_with(kA)) continue;
    const std::string weight = weight_of(name);
    const auto found = out.tensors.find(weight);
    const StoredTensor& b = adapter.tensors.at(adapter_b(weight));
    LV_CHECK(found != out.tensors.end() && found->second.shape == std::vector({b.shape[0], a.shape[1]}),
             "[adapter] it changes '{}' [{}, {}], which {} does not have", weight, b.shape[0], a.shape[1], checkpoint.config.name);
    auto values = floats(weight, found->second, {});
    add_product(values, floats(name, a, {}), floats(adapter_b(weight), b, {}), a.shape[0],
                adapter.alpha / static_cast<double>(a.shape[0]));
    found->second = held(found->second.shape, std::move(values));
  }
  out.fingerprint = fingerprint_of(out);
  return out;
}

}  // namespace longview
