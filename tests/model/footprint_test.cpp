// Table 1 of the Infini-attention paper, by the program's arithmetic.
#include "longview/model/footprint.h"

#include <gtest/gtest.h>

#include "longview/model/transformer.h"
#include "longview/train/fresh.h"

namespace longview {
namespace {

TEST(Footprint, IsThePapers) {
  int64_t infini = 0, memorizing = 0;  // 114 times less, as the paper says
  for (const auto& one : footprints(presets()[0], 65000)) {
    if (one.method == "infini") infini = one.values;
    if (one.method == "memorizing") memorizing = one.values;
    if (one.method == "transformer_xl") EXPECT_EQ(one.values, 50331648);  // 50M
    if (one.method == "compressive") EXPECT_EQ(one.values, 1024 * 2 * 2048 * 12);
    if (one.method == "recurrent_memory") EXPECT_EQ(one.values, 2457600);  // 2.5M
  }
  EXPECT_EQ(infini, 1585152);           // 1.6M
  EXPECT_EQ(memorizing, 183451648);     // 183M
  EXPECT_EQ(memorizing / infini, 115);  // 183M / 1.6M is the paper's 114
}

/// What a state holds one token after a segment's end, but for that token's own keys and values.
int64_t values_held(const Preset& p, const std::string& attention, int64_t length) {
  FreshConfig config;
  config.layers = p.layers, config.width = p.width, config.heads = p.heads, config.kv_heads = p.kv_heads;
  config.length = 1024, config.attention = attention, config.gate = "sigmoid";
  const Transformer model(fresh_checkpoint(config, byte_tokenizer_spec(), 1));
  const Method method = model.method("", "");
  const c10::InferenceMode inference;
  const int64_t T = 2 * length / p.segment * p.segment + 1;
  const auto out = model.forward({at::ones({1, T}, at::kLong), 0}, method, {});
  return out.state.bytes() / 4 - 2 * p.kv_heads * p.head_width * p.layers;
}

TEST(Footprint, IsWhatAStateHolds) {
  constexpr int64_t kLength = 200;
  for (const Preset& p : {Preset{"all heads", "", 3, 32, 4, 4, 8, 16}, Preset{"shared heads", "", 3, 32, 4, 2, 8, 16}}) {
    const std::map<std::string, std::string> settings{{"transformer_xl", "transformer_xl:segment=16"},
                                                      {"compressive", "compressive:segment=16,compressed=16,rate=2"},
                                                      {"memorizing", "memorizing:segment=16,memory=200"},
                                                      {"recurrent_memory", "recurrent_memory:segment=16,tokens=100"},
                                                      {"infini", "infini:segment=16"}};
    size_t found = 0;
    for (const auto& one : footprints(p, kLength)) {
      const auto setting = settings.find(one.method);
      if (setting == settings.end()) continue;
      EXPECT_EQ(values_held(p, setting->second, kLength), one.state_values) << one.method << " with " << p.name;
      ++found;
    }
    EXPECT_EQ(found, settings.size());
  }
}

}  // namespace
}  // namespace longview
