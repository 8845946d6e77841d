// config.json alone: what each spelling means, and what is refused.
#include "longview/checkpoint/hf_config.h"

#include <gtest/gtest.h>

#include "tests/checkpoint/gguf_bytes.h"

namespace longview {
namespace {

using testing::error_of;

Json config(const char* type) {
  return {{"model_type", type},       {"num_hidden_layers", 4},          {"hidden_size", 64},     {"intermediate_size", 128},
          {"num_attention_heads", 4}, {"num_key_value_heads", 2},        {"vocab_size", 100},     {"rms_norm_eps", 1e-6},
          {"rope_theta", 10000},      {"max_position_embeddings", 4096}, {"sliding_window", 128}, {"tie_word_embeddings", false}};
}

ModelConfig read(
    Json json, const std::function<void(Json&)>& change = [](Json&) {}) {
  change(json);
  return config_from_json(json, "config.json");
}

void expect_refused(Json json, const std::function<void(Json&)>& change, const std::string& why) {
  const std::string error = error_of([&] { read(json, change); });
  EXPECT_TRUE(error.starts_with("[checkpoint] config.json: ")) << error;
  EXPECT_NE(error.find(why), std::string::npos) << error;
}

std::string scaling(const char* text, const char* key = "rope_scaling") {
  return read(config("llama"), [&](Json& json) { json[key] = Json::parse(text); }).rope_scaling;
}

TEST(HuggingFaceConfig, Sizes) {
  const auto llama = read(config("llama"));
  EXPECT_EQ(std::tie(llama.layers, llama.width, llama.heads, llama.kv_heads, llama.head_width), std::make_tuple(4, 64, 4, 2, 16));
  EXPECT_EQ(std::tie(llama.feed_forward, llama.vocabulary, llama.trained_length), std::make_tuple(128, 100, 4096));
  EXPECT_EQ(read(config("qwen3")).head_width, 128);
  EXPECT_EQ(read(config("qwen3"), [](Json& json) { json["head_dim"] = 64; }).head_width, 64);
  EXPECT_EQ(read(config("llama"), [](Json& json) { json["num_key_value_heads"] = nullptr; }).kv_heads, 4);
  const auto by_class = [](Json& json) { json.erase("model_type"), json["architectures"] = {"MistralForCausalLM"}; };
  EXPECT_EQ(read(config("llama"), by_class).architecture, "mistral");
}

TEST(HuggingFaceConfig, SlidingWindows) {
  EXPECT_EQ(read(config("llama")).sliding_window, 0);
  EXPECT_EQ(read(config("mistral")).sliding_window, 128);
  EXPECT_EQ(read(config("mistral"), [](Json& json) { json["sliding_window"] = nullptr; }).sliding_window, 0);
  EXPECT_EQ(read(config("mistral"), [](Json& json) { json.erase("sliding_window"); }).sliding_window, 4096);
  EXPECT_EQ(read(config("qwen2")).sliding_window, 0);
  const auto from = [](int layer) {
    return [layer](Json& json) { json["use_sliding_window"] = true, json["max_window_layers"] = layer; };
  };
  EXPECT_EQ(read(config("qwen2"), from(4)).sliding_window, 0);
  EXPECT_EQ(read(config("qwen2"), from(28)).sliding_window, 0);
  EXPECT_EQ(read(config("qwen2"), from(0)).sliding_window, 128);
  expect_refused(config("qwen3"), from(3), "has a sliding window in 1 of its 4 layers");
  const auto listed = [](Json& json) {
    json["use_sliding_window"] = true;
    json["layer_types"] = Json(std::vector<std::string>(4, "sliding_attention"));
  };
  EXPECT_EQ(read(config("qwen3"), listed).sliding_window, 128);
}

TEST(HuggingFaceConfig, RotationsInBothSpellings) {
  EXPECT_EQ(scaling("null"), "");
  EXPECT_EQ(scaling("{}"), "");
  EXPECT_EQ(scaling(R"({"rope_type":"default"})"), "");
  EXPECT_EQ(scaling(R"({"type":"linear","factor":2.5})"), "linear:factor=2.5");
  EXPECT_EQ(scaling(R"({"rope_type":"linear","type":"x","factor":2})"), "linear:factor=2");
  EXPECT_EQ(scaling(R"({"type":"dynamic","factor":2,"original_max_position_embeddings":5})"), "dynamic:factor=2,original=4096");
  EXPECT_EQ(scaling(R"({"type":"yarn","factor":4})"), "yarn:factor=4,original=4096");
  EXPECT_EQ(scaling(R"({"type":"yarn","factor":null,"original_max_position_embeddings":1024})"), "yarn:factor=4,original=1024");
  EXPECT_EQ(scaling(R"({"type":"yarn","factor":4,"original_max_position_embeddings":1024,"attention_factor":1.5,"beta_fast":64})"),
            "yarn:factor=4,original=1024,beta_fast=64,beta_slow=1,attention_factor=1.5");
  EXPECT_EQ(scaling(R"({"type":"yarn","factor":4,"mscale":1,"mscale_all_dim":1})"),
            "yarn:factor=4,original=4096,attention_factor=1");
  EXPECT_EQ(
      scaling(
          R"({"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192})"),
      "llama3:factor=8,low=1,high=4,original=8192");
  EXPECT_EQ(scaling(R"({"rope_type":"longrope","factor":4,"short_factor":[1,1.05],"long_factor":[1,3.5]})"),
            "longrope:factor=4,original=4096,short=1/1.05,long=1/3.5");
  EXPECT_EQ(
      scaling(
          R"({"type":"su","short_factor":[1],"long_factor":[2],"original_max_position_embeddings":512,"attention_factor":1.25})"),
      "longrope:factor=8,original=512,short=1,long=2,attention_factor=1.25");
  EXPECT_THROW(scaling(R"({"rope_type":"longrope","factor":4,"short_factor":[1]})"), Error) << "no long list";
  EXPECT_THROW(scaling(R"({"rope_type":"longrope","factor":4,"short_factor":["a"],"long_factor":[2]})"), Error);
  EXPECT_EQ(scaling(R"({"full_attention":{"rope_type":"linear","factor":2}})", "rope_parameters"), "linear:factor=2");
  const auto beside = [](Json& json) {
    json["rope_scaling"] = {{"type", "yarn"}, {"factor", 2}}, json["original_max_position_embeddings"] = 77;
  };
  EXPECT_EQ(read(config("llama"), beside).rope_scaling, "yarn:factor=2,original=77");
  const auto inside = [](Json& json) {
    json.erase("rope_theta"), json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 7e5}};
  };
  EXPECT_EQ(read(config("llama"), inside).rope_base, 7e5);
  EXPECT_EQ(read(config("llama"), [](Json& json) { json.erase("rope_theta"); }).rope_base, 1e4);
}

TEST(HuggingFaceConfig, Refused) {
  const auto set = [](const char* key, Json value) { return [key, value](Json& json) { json[key] = value; }; };
  const auto llama = config("llama");
  expect_refused(
      config("gpt2"), [](Json&) {}, "unknown architecture (model_type) 'gpt2'; known: llama, mistral, qwen2 and qwen3");
  expect_refused(
      config("lama"), [](Json&) {}, "did you mean 'llama'?");
  expect_refused(
      Json::array(), [](Json&) {}, "must be a JSON object");
  expect_refused(
      llama, [](Json& json) { json.erase("hidden_size"); }, "'hidden_size' is missing");
  expect_refused(llama, set("hidden_size", "64"), "'hidden_size' must be a whole number");
  expect_refused(llama, set("hidden_size", 64.5), "'hidden_size' must be a whole number");
  expect_refused(llama, set("hidden_size", ~0ull), "'hidden_size' must be a whole number");
  expect_refused(llama, set("hidden_size", 0), "both must be above 0");
  expect_refused(llama, set("hidden_size", 66), "width 66 does not divide over 4 heads");
  expect_refused(llama, set("num_attention_heads", -4), "both must be above 0");
  expect_refused(llama, set("num_hidden_layers", -1), "must be above 0; got -1");
  expect_refused(llama, set("tie_word_embeddings", 1), "must be true or false");
  expect_refused(llama, set("rms_norm_eps", "x"), "must be a number");
  expect_refused(llama, set("hidden_act", "gelu"), "hidden_act 'gelu' is not read");
  expect_refused(llama, set("partial_rotary_factor", 0.5), "rotates 0.5 of a head");
  expect_refused(llama, set("quantization_config", Json::object()), "its weights are quantised");
  expect_refused(llama, set("rope_scaling", 5), "'rope_scaling' must be an object");
  expect_refused(llama, set("rope_scaling", {{"type", "linear"}}), "linear scaling needs 'factor'");
  expect_refused(llama, set("rope_scaling", {{"type", "linear"}, {"factor", 0}}), "must be above 0; got 0");
  expect_refused(llama, set("rope_scaling", {{"type", "llama3"}, {"factor", 8}}), "needs 'low_freq_factor'");
  expect_refused(llama, set("rope_scaling", {{"type", "yarn"}, {"factor", 8}, {"truncate", false}}), "truncate false");
  expect_refused(llama, set("rope_scaling", {{"sliding_attention", 1}, {"full_attention", 1}}), "differ between layers");
}

}  // namespace
}  // namespace longview
