// A Hugging Face folder as a Checkpoint: config.json, one or several .safetensors, tokenizer.json and its companions.
#include <algorithm>
#include <set>

#include "longview/base/check.h"
#include "longview/base/json.h"
#include "longview/base/names.h"
#include "longview/checkpoint/formats.h"
#include "longview/checkpoint/hf_config.h"
#include "longview/checkpoint/safetensors.h"
#include "longview/checkpoint/tensor_names.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

BlockType type_of(const std::string& dtype, const std::string& name, const std::string& where) {
  for (const BlockType type : {BlockType::f32, BlockType::f16, BlockType::bf16})
    if (block_name(type) == dtype) return type;
  fail("[checkpoint] {}: tensor '{}' is stored as {}; F32, F16 and BF16 are read", where, name, dtype);
}

bool is_computed(const std::string& name) {
  return name.ends_with(".rotary_emb.inv_freq");
}  // old files carry it; it follows from config.json

/// The tensors of one file; `wanted` empty: all.
void add_file(Checkpoint& out, const fs::path& path, const std::set<std::string>& wanted) {
  const MappedFile file(path);
  const auto owner = std::make_shared<MappedFile>(file);
  const std::string where = path.string();
  for (const auto& [name, entry] : read_safetensors(file.bytes(), where).tensors) {
    if (is_computed(name) || (!wanted.empty() && !wanted.contains(name))) continue;
    const BlockType type = type_of(entry.dtype, name, where);
    const bool added = out.tensors.try_emplace(name, StoredTensor{entry.shape, type, entry.bytes, owner}).second;
    LV_CHECK(added, "[checkpoint] {}: tensor '{}' is in another part, too", where, name);
  }
}

void add_parts(Checkpoint& out, const fs::path& index) {
  const std::string where = index.string();
  const Json json = parse_json(read_text(index), where);
  LV_CHECK(json.is_object() && json.contains("weight_map") && json["weight_map"].is_object(),
           "[checkpoint] {}: has no object 'weight_map'", where);
  std::map<std::string, std::set<std::string>> parts;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    LV_CHECK(file.is_string(), "[checkpoint] {}: the file of tensor '{}' must be a text", where, tensor);
    const fs::path name = file.get<std::string>();
    LV_CHECK(name.has_filename() && name == name.filename() && name != "..",
             "[checkpoint] {}: '{}' is not the name of a file beside it", where, name.string());
    parts[name.string()].insert(tensor);
  }
  for (const auto& [file, tensors] : parts) {
    const fs::path path = index.parent_path() / file;
    LV_CHECK(fs::is_regular_file(path), "[checkpoint] {}: part '{}' is missing", where, file);
    add_file(out, path, tensors);
    for (const auto& name : tensors)
      LV_CHECK(is_computed(name) || out.tensors.contains(name), "[checkpoint] {}: tensor '{}' is not in '{}'", where, name, file);
  }
}

// The .safetensors file or .index.json to read, for a folder or one of its files.
fs::path weights_of(const fs::path& given, const fs::path& folder) {
  const std::string name = given.filename().string();
  if (name.ends_with(".index.json")) return given;
  const bool is_part = name.find("-of-") != std::string::npos;  // model-00001-of-00003.safetensors
  if (name.ends_with(".safetensors") && !is_part && !fs::is_directory(given)) return given;
  if (!is_part && fs::is_regular_file(folder / "model.safetensors")) return folder / "model.safetensors";
  if (fs::is_regular_file(folder / "model.safetensors.index.json")) return folder / "model.safetensors.index.json";
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path());
  LV_CHECK(found.size() == 1, "[checkpoint] {}: has {} .safetensors files and no model.safetensors or model.safetensors.index.json",
           folder.string(), found.size());
  return found.front();
}

// The cache of huggingface_hub names folders models--ORGANISATION--NAME/snapshots/COMMIT.
std::string name_for_people(const fs::path& folder) {
  const fs::path full = fs::weakly_canonical(folder);
  if (full.parent_path().filename() != "snapshots") return full.filename().string();
  const std::string name = full.parent_path().parent_path().filename().string();
  const size_t cut = name.rfind("--");
  return cut == std::string::npos ? name : name.substr(cut + 2);
}

void add_stops(TokenizerSpec& spec, const Json& json) {
  if (!json.is_object() || !json.contains("eos_token_id")) return;
  const Json& said = json["eos_token_id"];
  for (const Json& id : said.is_array() ? said : Json::array({said})) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= spec.tokens.size()) continue;  // stale ids are common and harmless
    const auto stop = id.get<Id>();
    if (spec.eos < 0) spec.eos = stop;
    if (std::find(spec.stops.begin(), spec.stops.end(), stop) == spec.stops.end()) spec.stops.push_back(stop);
  }
}

TokenizerSpec tokenizer_of(const fs::path& folder, const Json& config) {
  const auto text_of = [&](const char* name) {
    return fs::is_regular_file(folder / name) ? read_text(folder / name) : std::string();
  };
  LV_CHECK(fs::is_regular_file(folder / "tokenizer.json"), "[checkpoint] {}: has no tokenizer.json", folder.string());
  auto spec =
      tokenizer_from_json(text_of("tokenizer.json"), text_of("tokenizer_config.json"), (folder / "tokenizer.json").string());
  if (spec.chat_template.empty()) spec.chat_template = text_of("chat_template.jinja");  // where transformers 5 keeps it
  if (spec.stops.empty()) spec.stops = find_stops(spec);
  add_stops(spec, config);
  const std::string generation = text_of("generation_config.json");
  if (!generation.empty()) add_stops(spec, parse_json(generation, (folder / "generation_config.json").string()));
  std::sort(spec.stops.begin(), spec.stops.end());
  return spec;
}

std::string gguf_hint(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".gguf") return fmt::format("; for a GGUF give the file: {}", entry.path().string());
  return "";
}

}  // namespace

Checkpoint open_hugging_face(const fs::path& path) {
  const fs::path folder = fs::is_directory(path) ? path : path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path config_path = folder / "config.json";
  LV_CHECK(fs::is_regular_file(config_path), "[checkpoint] {}: has no config.json{}", folder.string(), gguf_hint(folder));
  const Json json = parse_json(read_text(config_path), config_path.string());
  Checkpoint out;
  out.path = path;
  out.config = config_from_json(json, config_path.string());
  out.config.name = name_for_people(folder);
  const fs::path weights = weights_of(path, folder);
  if (weights.extension() == ".json") add_parts(out, weights);
  else add_file(out, weights, {});
  if (!json.contains("tie_word_embeddings")) out.config.tied_head = !out.tensors.contains("lm_head.weight");
  if (out.config.tied_head) out.tensors.erase("lm_head.weight");  // some files carry the embedding twice
  out.tokenizer = tokenizer_of(folder, json);
  check_checkpoint(out, weights.string());
  return out;
}

}  // namespace longview
