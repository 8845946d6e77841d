// A model's sizes as the config.json of transformers' Llama, Mistral, Qwen2 and Qwen3. What it says is read again by hf_config.cpp.
#include <cmath>
#include <tuple>

#include "longview/base/fields.h"
#include "longview/checkpoint/export.h"

namespace longview {
namespace {

/// The class of transformers that computes this: what differs between the four is which of these they can have.
std::string written_architecture(const ModelConfig& c) {
  if (c.qk_norm) return "qwen3";
  if (c.qkv_bias) return "qwen2";
  return c.sliding_window > 0 ? "mistral" : c.architecture;
}

struct ClassNames {
  const char *architecture, *name;
};
constexpr ClassNames kClasses[] = {
    {"llama", "LlamaForCausalLM"}, {"mistral", "MistralForCausalLM"}, {"qwen2", "Qwen2ForCausalLM"}, {"qwen3", "Qwen3ForCausalLM"}};

std::vector<double> numbers(const std::string& text) {
  std::vector<double> out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    out.push_back(to_real("convert", "divisors", text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return out;
}

struct RopeKey {
  const char *ours, *theirs;
};
constexpr RopeKey kRopeKeys[] = {{"factor", "factor"},
                                 {"original", "original_max_position_embeddings"},
                                 {"low", "low_freq_factor"},
                                 {"high", "high_freq_factor"},
                                 {"beta_fast", "beta_fast"},
                                 {"beta_slow", "beta_slow"},
                                 {"attention_factor", "attention_factor"},
                                 {"short", "short_factor"},
                                 {"long", "long_factor"}};

/// "yarn:factor=4,original=8192" as transformers' rope_scaling. The dynamic rule counts from max_position_embeddings alone.
Json rope_scaling_json(const ModelConfig& c) {
  if (c.rope_scaling.empty()) return nullptr;
  const Setting setting = parse_setting(c.rope_scaling);
  Json out = {{"rope_type", setting.name}};
  for (const auto& [ours, theirs] : kRopeKeys) {
    const auto found = setting.values.find(ours);
    if (found == setting.values.end() || (setting.name == "dynamic" && std::string_view(ours) == "original")) continue;
    const std::string key = ours;
    if (key == "original") out[theirs] = to_int("convert", key, found->second);
    else if (key == "short" || key == "long") out[theirs] = numbers(found->second);
    else out[theirs] = to_real("convert", key, found->second);
  }
  return out;
}

void add_window(Json& out, const ModelConfig& c, const std::string& architecture) {
  const bool slides = c.sliding_window > 0;
  if (architecture == "llama") return;
  out["sliding_window"] = slides ? Json(c.sliding_window) : Json();
  if (architecture == "mistral") return;
  out["use_sliding_window"] = slides;
  out["max_window_layers"] = slides ? 0 : c.layers;
}

Json id_or_null(Id id) { return id >= 0 ? Json(id) : Json(); }

}  // namespace

Json config_to_json(const Checkpoint& checkpoint, BlockType type) {
  const ModelConfig& c = checkpoint.config;
  const std::string architecture = written_architecture(c);
  Json out;
  // What a class that does not know it would compute something else from; a sigmoid's gate is never closed, a tanh's may be.
  const bool is_ours = !c.position.empty() || !c.normalized.empty() || c.memory_gate == "sigmoid";
  for (const auto& [known, name] : kClasses)
    if (architecture == known) out["architectures"] = Json::array({is_ours ? "LongviewForCausalLM" : name});
  out["model_type"] = is_ours ? "longview" : architecture;
  if (is_ours) out["longview_architecture"] = architecture;
  out["hidden_size"] = c.width;
  out["num_hidden_layers"] = c.layers;
  out["num_attention_heads"] = c.heads;
  out["num_key_value_heads"] = c.kv_heads;
  out["head_dim"] = c.head_width;
  out["intermediate_size"] = c.feed_forward;
  out["vocab_size"] = c.vocabulary;
  out["max_position_embeddings"] = c.trained_length;
  out["rms_norm_eps"] = c.norm_epsilon;
  out["rope_theta"] = c.rope_base;
  out["rope_scaling"] = rope_scaling_json(c);
  out["tie_word_embeddings"] = c.tied_head;
  out["attention_bias"] = c.qkv_bias;
  out["hidden_act"] = "silu";
  add_window(out, c, architecture);
  out["bos_token_id"] = id_or_null(checkpoint.tokenizer.bos);
  out["eos_token_id"] = id_or_null(checkpoint.tokenizer.eos);
  out["pad_token_id"] = id_or_null(checkpoint.tokenizer.pad);
  out["torch_dtype"] = type == BlockType::f32 ? "float32" : type == BlockType::f16 ? "float16" : "bfloat16";
  out["use_cache"] = true;
  if (!c.position.empty()) out["longview_position"] = c.position;
  if (!c.normalized.empty()) out["longview_normalize"] = c.normalized;
  if (c.score_scale > 0) out["longview_score_scale"] = c.score_scale;
  if (!c.attention.empty()) out["longview_attention"] = c.attention;
  if (!c.memory_gate.empty()) out["longview_memory_gate"] = c.memory_gate;
  return out;
}

Json generation_config_to_json(const TokenizerSpec& spec) {
  Json stops = Json::array();
  for (const Id id : spec.stops) stops.push_back(id);
  return {{"bos_token_id", id_or_null(spec.bos)},
          {"eos_token_id", stops.empty() ? Json() : stops},
          {"pad_token_id", id_or_null(spec.pad)}};
}

}  // namespace longview
