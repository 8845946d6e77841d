// config.json of transformers: configuration_llama.py and its kin say what absent keys mean, modeling_rope_utils.py the scaling.
#include <algorithm>
#include <cmath>

#include "longview/base/names.h"
#include "longview/checkpoint/hf_config.h"
#include "longview/checkpoint/rope_setting.h"
#include "longview/checkpoint/tensor_names.h"

namespace longview {
namespace {

// "LlamaForCausalLM" where model_type is missing, as in some old files.
std::string architecture_of(const JsonKeys& keys, const std::string& where) {
  std::string given = keys.text("model_type").value_or("");
  if (given == "longview") given = keys.text("longview_architecture").value_or("llama");  // what no class of transformers computes
  if (given.empty()) {
    const Json* classes = keys.find("architectures");
    if (classes && classes->is_array() && !classes->empty() && classes->front().is_string())
      given = classes->front().get<std::string>();
    for (const auto& known : architectures()) {
      std::string lower = given;
      std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (lower == known + "forcausallm") given = known;
    }
  }
  const auto& known = architectures();
  if (std::find(known.begin(), known.end(), given) == known.end())
    fail("[checkpoint] {}: {}", where, unknown_name("architecture (model_type)", given, known));
  return given;
}

double temperature(double factor, double weight) { return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1; }

RopeScaling scaling_of(const JsonKeys& config, const JsonKeys& rope, int64_t trained_length, const std::string& where) {
  RopeScaling out;
  out.type = rope.text("rope_type").value_or(rope.text("type").value_or("default"));
  out.factor = rope.real("factor");
  out.low = rope.real("low_freq_factor");
  out.high = rope.real("high_freq_factor");
  out.beta_fast = rope.real("beta_fast");
  out.beta_slow = rope.real("beta_slow");
  out.attention_factor = rope.real("attention_factor");
  out.original = trained_length;
  if (out.type != "dynamic") {  // dynamic always counts from max_position_embeddings
    if (const auto inside = rope.integer("original_max_position_embeddings")) out.original = inside;
    if (const auto beside = config.integer("original_max_position_embeddings")) out.original = beside;
  }
  if (out.type == "longrope" || out.type == "su") {
    out.short_list = rope.reals("short_factor"), out.long_list = rope.reals("long_factor");
    if (*out.original > 0 && *out.original != trained_length)
      out.factor = static_cast<double>(trained_length) / static_cast<double>(*out.original);
  }
  if (out.type != "yarn") return out;
  LV_CHECK(rope.truth("truncate").value_or(true), "[checkpoint] {}: YaRN with truncate false is not read", where);
  if (!out.factor && *out.original > 0) out.factor = static_cast<double>(trained_length) / static_cast<double>(*out.original);
  const double top = rope.real("mscale").value_or(0), bottom = rope.real("mscale_all_dim").value_or(0);
  if (!out.attention_factor && out.factor && top != 0 && bottom != 0)
    out.attention_factor = temperature(*out.factor, top) / temperature(*out.factor, bottom);
  return out;
}

void read_rope(ModelConfig& out, const JsonKeys& keys, const std::string& where) {
  const char* source = keys.find("rope_parameters") ? "rope_parameters" : "rope_scaling";
  static const Json nothing = Json::object();
  const Json* found = keys.find(source);
  if (found && found->is_object() && found->size() == 1 && found->contains("full_attention")) found = &(*found)["full_attention"];
  LV_CHECK(!found || found->is_object(), "[checkpoint] {}: '{}' must be an object", where, source);
  LV_CHECK(!found || !found->contains("sliding_attention"), "[checkpoint] {}: rotations that differ between layers are not read",
           where);
  const JsonKeys rope(found ? *found : nothing, where);
  out.rope_base = rope.real("rope_theta").value_or(keys.real("rope_theta").value_or(10000));
  const double part = rope.real("partial_rotary_factor").value_or(keys.real("partial_rotary_factor").value_or(1));
  LV_CHECK(part == 1, "[checkpoint] {}: rotates {} of a head; only whole heads are read", where, part);
  out.rope_scaling = rope_setting(scaling_of(keys, rope, out.trained_length, where), "[checkpoint] " + where);
  if (!out.rope_scaling.empty()) out.rope_source = source;
}

// Tokens a query sees, itself included; 0: all. Qwen may let the first layers see everything, which is not read.
int64_t window_of(const JsonKeys& keys, const ModelConfig& config, const std::string& where) {
  if (config.architecture == "llama") return 0;
  if (config.architecture == "mistral") return keys.has("sliding_window") ? keys.integer("sliding_window").value_or(0) : 4096;
  if (!keys.truth("use_sliding_window").value_or(false)) return 0;
  const int64_t window = keys.integer("sliding_window").value_or(0);
  int64_t sliding = config.layers - std::clamp<int64_t>(keys.integer("max_window_layers").value_or(28), 0, config.layers);
  if (const Json* types = keys.find("layer_types"); types && types->is_array())
    sliding = std::count(types->begin(), types->end(), Json("sliding_attention"));
  if (sliding == 0 || window == 0) return 0;
  LV_CHECK(sliding == config.layers, "[checkpoint] {}: has a sliding window in {} of its {} layers; only none or all are read",
           where, sliding, config.layers);
  return window;
}

void check_one_of(const std::string& value, std::initializer_list<const char*> known, const char* key, const std::string& where) {
  LV_CHECK(value.empty() || std::find(known.begin(), known.end(), value) != known.end(),
           "[checkpoint] {}: '{}' must be {}; got '{}'", where, key, fmt::join(known, " or "), value);
}

// Keys of ours: position and attention of the model's own, what its memory's gates are, heads of length 1.
void read_own(ModelConfig& out, const JsonKeys& keys, const std::string& where) {
  out.position = keys.text("longview_position").value_or("");
  out.normalized = keys.text("longview_normalize").value_or("");
  check_one_of(out.normalized, {"query", "key", "cosine"}, "longview_normalize", where);
  out.score_scale = keys.real("longview_score_scale").value_or(0);
  LV_CHECK(out.normalized == "cosine" ? out.score_scale > 0 : out.score_scale == 0,
           "[checkpoint] {}: 'longview_score_scale' must be above 0 with cosine and absent without; got {}", where,
           out.score_scale);
  out.attention = keys.text("longview_attention").value_or("");
  out.memory_gate = keys.text("longview_memory_gate").value_or("");
  check_one_of(out.memory_gate, {"sigmoid", "tanh"}, "longview_memory_gate", where);
}

}  // namespace

ModelConfig config_from_json(const Json& json, const std::string& where) {
  LV_CHECK(json.is_object(), "[checkpoint] {}: must be a JSON object", where);
  const JsonKeys keys(json, where);
  ModelConfig out;
  out.architecture = architecture_of(keys, where);
  LV_CHECK(!keys.find("quantization_config"),
           "[checkpoint] {}: its weights are quantised ('quantization_config'), which is only read from GGUF", where);
  const std::string activation = keys.text("hidden_act").value_or("silu");
  LV_CHECK(activation == "silu", "[checkpoint] {}: hidden_act '{}' is not read; silu is", where, activation);
  out.layers = keys.needed("num_hidden_layers");
  out.width = keys.needed("hidden_size");
  out.feed_forward = keys.needed("intermediate_size");
  out.heads = keys.needed("num_attention_heads");
  out.vocabulary = keys.needed("vocab_size");
  out.trained_length = keys.needed("max_position_embeddings");
  out.kv_heads = keys.integer("num_key_value_heads").value_or(out.heads);
  LV_CHECK(out.heads > 0 && out.width > 0, "[checkpoint] {}: {} heads, width {}; both must be above 0", where, out.heads,
           out.width);
  const auto head_width = keys.integer("head_dim");
  LV_CHECK(head_width || out.width % out.heads == 0, "[checkpoint] {}: width {} does not divide over {} heads", where, out.width,
           out.heads);
  out.head_width = head_width.value_or(out.architecture == "qwen3" ? 128 : out.width / out.heads);
  out.norm_epsilon = keys.real("rms_norm_eps").value_or(1e-6);
  out.tied_head = keys.truth("tie_word_embeddings").value_or(false);
  LV_CHECK(out.layers > 0, "[checkpoint] {}: num_hidden_layers must be above 0; got {}", where, out.layers);
  out.sliding_window = window_of(keys, out, where);
  read_rope(out, keys, where);
  read_own(out, keys, where);
  return out;
}

}  // namespace longview
