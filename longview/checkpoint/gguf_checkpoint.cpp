// A GGUF file's metadata and tensors as a Checkpoint. Keys: gguf-py/gguf/constants.py; what absent ones mean: llama.cpp's loader.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>

#include "longview/base/fields.h"
#include "longview/base/names.h"
#include "longview/checkpoint/gguf_keys.h"
#include "longview/checkpoint/rope_setting.h"
#include "longview/checkpoint/tensor_names.h"

namespace longview {
namespace {

int64_t needed(std::optional<int64_t> value, const std::string& key, const std::string& where) {
  LV_CHECK(value, "[gguf] {}: key '{}' is missing", where, key);
  return *value;
}

// The double that a person meant by the f32 in the file: 1e-5, not 9.999999747378752e-06.
double meant(double value) {
  const auto narrow = static_cast<float>(value);
  return narrow == value ? to_real("gguf", "number", fmt::format("{}", narrow)) : value;
}

// "SmolLM2-135M-Instruct.Q4_1.gguf" is SmolLM2-135M-Instruct; files with a name that says nothing are called what they say inside.
std::string name_for_people(const std::filesystem::path& path, const std::string& inside) {
  std::string name = path.stem().string();
  const size_t cut = name.find_last_of(".-");
  if (cut != std::string::npos && cut > 0) {
    std::string end = name.substr(cut + 1);
    for (char& c : end) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const bool quantised = (end.starts_with('Q') || end.starts_with("IQ")) && end.find('_') != std::string::npos;
    if (quantised || end == "F16" || end == "F32" || end == "BF16") name.resize(cut);
  }
  const bool says_nothing = name.empty() || name == "model" || name == "ggml-model";
  return says_nothing && !inside.empty() ? inside : name;
}

std::vector<float> values_of(const StoredTensor& tensor, const std::string& name, const std::string& where) {
  LV_CHECK(tensor.type == BlockType::f32 && tensor.shape.size() == 1, "[gguf] {}: tensor '{}' must be a row of F32", where, name);
  std::vector<float> out(tensor.bytes.size() / sizeof(float));
  std::memcpy(out.data(), tensor.bytes.data(), out.size() * sizeof(float));
  return out;
}

// A tensor of one number for each rotary pair, taken out of the file's; empty when there is none.
std::vector<float> take_pairs(Gguf& gguf, const std::string& name, int64_t head_width, const std::string& where) {
  const auto found = gguf.tensors.find(name);
  if (found == gguf.tensors.end()) return {};
  auto values = values_of(found->second, name, where);
  LV_CHECK(static_cast<int64_t>(values.size()) * 2 == head_width, "[gguf] {}: '{}' has {} numbers for heads of {}", where, name,
           values.size(), head_width);
  gguf.tensors.erase(found);
  return values;
}

// LongRoPE's lists say by themselves what they are: llama.cpp's converters write no scaling.type beside them, and its loader multiplies
// cos and sin by attn_factor, 1 when absent.
bool take_lists(RopeScaling& scaling, Gguf& gguf, const ModelConfig& config, const std::string& where) {
  const auto shorter = take_pairs(gguf, "rope_factors_short.weight", config.head_width, where);
  const auto longer = take_pairs(gguf, "rope_factors_long.weight", config.head_width, where);
  if (shorter.empty() && longer.empty()) return false;
  LV_CHECK(!shorter.empty() && !longer.empty(),
           "[gguf] {}: has only one of 'rope_factors_short.weight' and 'rope_factors_long.weight'", where);
  LV_CHECK(scaling.type == "none" || scaling.type == "longrope", "[gguf] {}: has both {} scaling and the lists of longrope", where,
           scaling.type);
  scaling.type = "longrope";
  scaling.short_list.assign(shorter.begin(), shorter.end());
  scaling.long_list.assign(longer.begin(), longer.end());
  if (!scaling.factor || *scaling.factor == 0 || *scaling.original != config.trained_length)
    scaling.factor = static_cast<double>(config.trained_length) / static_cast<double>(std::max<int64_t>(*scaling.original, 1));
  return true;
}

// Gives the source as well: the key or the tensor that says how the model is scaled.
std::pair<RopeScaling, std::string> scaling_of(Gguf& gguf, const ModelConfig& config, const std::string& where) {
  const GgufKeys keys(gguf, where);
  const std::string at = config.architecture + ".rope.";
  RopeScaling scaling;
  scaling.factor = keys.real(at + "scaling.factor");
  if (!scaling.factor) scaling.factor = keys.real(at + "scale_linear");
  const bool scaled = scaling.factor.value_or(0) != 0 && *scaling.factor != 1;
  scaling.type = keys.text(at + "scaling.type").value_or(scaled ? "linear" : "none");
  if (scaling.type == "linear" && !scaled) scaling.type = "none";
  scaling.original = keys.integer(at + "scaling.original_context_length").value_or(config.trained_length);
  scaling.beta_fast = keys.real(at + "scaling.yarn_beta_fast");
  scaling.beta_slow = keys.real(at + "scaling.yarn_beta_slow");
  const double blend = keys.real(at + "scaling.yarn_ext_factor").value_or(1);
  LV_CHECK(blend == 1 || blend == -1, "[gguf] {}: yarn_ext_factor {} is not read; 1 is", where, blend);
  const auto multiplier = keys.real(at + "scaling.attn_factor");
  if (take_lists(scaling, gguf, config, where)) {
    scaling.attention_factor = multiplier.value_or(1);
    return {scaling, "rope_factors_long.weight"};
  }
  // Here the files hold a multiplier of YaRN's own temperature, where config.json replaces it.
  if (multiplier && scaling.factor) scaling.attention_factor = *multiplier * (0.1 * std::log(std::max(1.0, *scaling.factor)) + 1);
  return {scaling, at + "scaling.type"};
}

void read_rope(ModelConfig& config, Gguf& gguf, const std::string& where) {
  const GgufKeys keys(gguf, where);
  const std::string at = config.architecture + ".rope.";
  config.rope_base = meant(keys.real(at + "freq_base").value_or(10000));
  const int64_t rotated = keys.integer(at + "dimension_count").value_or(config.head_width);
  LV_CHECK(rotated == config.head_width, "[gguf] {}: rotates {} of the {} numbers of a head; only whole heads are read", where,
           rotated, config.head_width);
  const auto [scaling, source] = scaling_of(gguf, config, where);
  config.rope_scaling = rope_setting(scaling, "[gguf] " + where);
  if (!config.rope_scaling.empty()) config.rope_source = source;
  const auto divisors = take_pairs(gguf, "rope_freqs.weight", config.head_width, where);
  if (divisors.empty()) return;
  const std::string setting = setting_of_divisors(divisors, config.rope_base, "[gguf] " + where);
  LV_CHECK(setting.empty() || config.rope_scaling.empty(), "[gguf] {}: has both '{}' and 'rope_freqs.weight'", where, source);
  if (!setting.empty()) config.rope_scaling = setting, config.rope_source = "rope_freqs.weight";
}

ModelConfig config_of(Gguf& gguf, const std::filesystem::path& path, const std::string& where) {
  const GgufKeys keys(gguf, where);
  const auto parts = keys.integer("split.count").value_or(1);
  LV_CHECK(parts <= 1, "[gguf] {}: is one of {} parts; join them first (llama-gguf-split --merge)", where, parts);
  ModelConfig config;
  config.architecture = keys.text("general.architecture").value_or("");
  LV_CHECK(!config.architecture.empty(), "[gguf] {}: key 'general.architecture' is missing", where);
  std::vector<std::string> known = architectures();
  std::erase(known, "mistral");  // such files call themselves llama
  if (std::find(known.begin(), known.end(), config.architecture) == known.end())
    fail("[gguf] {}: {}", where, unknown_name("architecture", config.architecture, known));
  const std::string at = config.architecture + ".";
  const auto size = [&](const char* key) { return needed(keys.same_in_all_layers(at + key), at + key, where); };
  config.name = name_for_people(path, keys.text("general.name").value_or(""));
  config.layers = size("block_count");
  config.width = size("embedding_length");
  config.feed_forward = size("feed_forward_length");
  config.heads = size("attention.head_count");
  config.kv_heads = keys.same_in_all_layers(at + "attention.head_count_kv").value_or(config.heads);
  LV_CHECK(config.heads > 0 && config.width > 0, "[gguf] {}: {} heads, width {}; both must be above 0", where, config.heads,
           config.width);
  const auto head_width = keys.integer(at + "attention.key_length");
  LV_CHECK(head_width || config.width % config.heads == 0, "[gguf] {}: width {} does not divide over {} heads", where, config.width,
           config.heads);
  config.head_width = head_width.value_or(config.width / config.heads);
  const int64_t value_width = keys.integer(at + "attention.value_length").value_or(config.head_width);
  LV_CHECK(value_width == config.head_width, "[gguf] {}: keys of {} and values of {} numbers; only equal ones are read", where,
           config.head_width, value_width);
  config.trained_length = size("context_length");
  config.sliding_window = keys.integer(at + "attention.sliding_window").value_or(0);
  const auto epsilon = keys.real(at + "attention.layer_norm_rms_epsilon");
  LV_CHECK(epsilon, "[gguf] {}: key '{}attention.layer_norm_rms_epsilon' is missing", where, at);
  config.norm_epsilon = meant(*epsilon);
  config.interleaved_rotary = config.architecture == "llama";  // the converter reorders rows of Wq and Wk for this name alone
  read_rope(config, gguf, where);
  return config;
}

}  // namespace

Checkpoint checkpoint_from_gguf(Gguf gguf, const std::filesystem::path& path) {
  const std::string where = path.string();
  Checkpoint out;
  out.path = path;
  out.config = config_of(gguf, path, where);
  out.tokenizer = tokenizer_from_gguf(gguf, where);
  for (auto& [name, tensor] : gguf.tensors) {
    const std::string known = hugging_face_name(name);
    LV_CHECK(!known.empty(), "[gguf] {}: tensor '{}' is no part of a {} model", where, name, out.config.architecture);
    out.tensors[known] = std::move(tensor);
  }
  const auto embedding = out.tensors.find("model.embed_tokens.weight");
  LV_CHECK(embedding != out.tensors.end(), "[gguf] {}: tensor 'token_embd.weight' is missing", where);
  out.config.vocabulary = embedding->second.shape.front();
  out.config.tied_head = !out.tensors.contains("lm_head.weight");
  check_checkpoint(out, where);
  return out;
}

}  // namespace longview
