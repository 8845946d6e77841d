// A million tokens in the memory of the first hundred thousand.
#include "longview/base/cpu.h"
#include "longview/infer/reader.h"
#include "tests/infer/tiny.h"

namespace longview {
namespace {

using testing::some_ids;
using testing::tiny_model;

TEST(Memory, AMillionTokensNeedNoMoreThanTheFirstHundredThousand) {
  constexpr int64_t kTokens = 1 << 20, kGrowth = 8 << 20;
  const std::vector<Id> ids = some_ids(1 << 16);
  int64_t at_a_tenth = 0, most = 0, state_bytes = 0;
  Session session;
  const auto progress = [&](int64_t tokens, double) {
    if (tokens < kTokens / 10) return true;
    if (at_a_tenth == 0) at_a_tenth = rss_bytes(), state_bytes = session.state.bytes();
    if (tokens % 8192 == 0) most = std::max(most, rss_bytes());
    EXPECT_EQ(session.state.bytes(), state_bytes) << "after " << tokens;
    return !::testing::Test::HasFailure();
  };
  Reader reader(tiny_model(), tiny_model().method("rope", "streaming:window=256"),
                {.chunk = 512, .edges = {}, .progress = progress}, session);
  for (int64_t read = 0; read < kTokens; read += static_cast<int64_t>(ids.size()))
    if (!reader.read(ids)) break;
  EXPECT_EQ(reader.finish().tokens, kTokens);
  const auto& config = tiny_model().config();
  EXPECT_EQ(state_bytes, config.layers * 2 * config.kv_heads * config.head_width * 4 * 255) << "the window but its newest token";
  EXPECT_LT(most - at_a_tenth, kGrowth) << "from " << at_a_tenth << " bytes at a tenth";
}

/// Every bounded method, with settings that fill early: a tenth of the text is enough to see growth a token.
TEST(Memory, StaysWhereItIsForEveryBoundedMethod) {
  constexpr int64_t kTokens = 1 << 17, kGrowth = 8 << 20;
  const std::vector<Id> ids = some_ids(1 << 14);
  const Transformer& model = testing::gated_model();
  for (const auto& entry : attentions()) {
    SCOPED_TRACE(std::string(entry.name));
    const Method method = model.method("", entry.name == "memorizing" ? "memorizing:memory=2048" : entry.name);
    if (!method.attention->bound()) continue;
    int64_t at_a_tenth = 0, most = 0;
    Session session;
    const auto progress = [&](int64_t tokens, double) {
      if (tokens < kTokens / 10) return true;
      if (at_a_tenth == 0) at_a_tenth = rss_bytes();
      most = std::max(most, rss_bytes());
      return true;
    };
    Reader reader(model, method, {.chunk = 512, .edges = {}, .progress = progress}, session);
    for (int64_t read = 0; read < kTokens; read += static_cast<int64_t>(ids.size())) reader.read(ids);
    EXPECT_EQ(reader.finish().tokens, kTokens);
    EXPECT_LT(most - at_a_tenth, kGrowth) << "from " << at_a_tenth << " bytes at a tenth";
  }
}

}  // namespace
}  // namespace longview
