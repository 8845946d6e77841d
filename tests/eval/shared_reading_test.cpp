// What texts share is read once, and every text ends as if it had been read alone.
#include "longview/eval/shared_reading.h"

#include "tests/infer/tiny.h"

namespace longview {
namespace {

using testing::some_ids;
using testing::tiny_model;

/// Three texts that part at different places, one that is the beginning of another, and one of its own.
std::vector<std::vector<Id>> some_texts() {
  const auto all = some_ids(200);
  const auto changed = [&](size_t at, size_t length) {
    std::vector<Id> out(all.begin(), all.begin() + static_cast<int64_t>(length));
    out[at] = out[at] == 3 ? 4 : 3;
    return out;
  };
  return {all, changed(150, 200), changed(60, 180), {all.begin(), all.begin() + 90}, changed(0, 70), changed(60, 180)};
}

std::vector<std::span<const Id>> spans(const std::vector<std::vector<Id>>& texts) { return {texts.begin(), texts.end()}; }

TEST(SharedReading, EveryTextEndsAsIfItWereAlone) {
  const auto texts = some_texts();
  const auto& model = tiny_model();
  for (const std::string attention : {"full", "streaming:window=40"}) {
    const Method method = model.method("rope", attention);
    for (const int64_t batch : {1, 2, 5})
      for (const bool is_shared : {true, false}) {
        int64_t read = 0;
        std::vector<int> times(texts.size(), 0);
        SharedReading how{32, batch, is_shared, [&](int64_t tokens) {
                            read += tokens;
                            return true;
                          }};
        EXPECT_TRUE(read_all(model, method, spans(texts), how, [&](size_t which, Session session) {
          ++times[which];
          EXPECT_EQ(session.digest, digest_of(texts[which])) << "text " << which;
          Session alone;
          feed(model, method, texts[which], 32, alone);
          EXPECT_TRUE(at::allclose(next_logits(model, alone), next_logits(model, session), 1e-4, 1e-4)) << "text " << which;
        }));
        EXPECT_EQ(times, std::vector<int>(texts.size(), 1));
        EXPECT_EQ(read, tokens_to_read(spans(texts), is_shared));
      }
  }
}

TEST(SharedReading, WhatIsSharedCountsOnce) {
  const auto texts = some_texts();
  EXPECT_EQ(tokens_to_read(spans(texts), false), 200 + 200 + 180 + 90 + 70 + 180);
  EXPECT_EQ(tokens_to_read(spans(texts), true), 200 + 50 + 120 + 0 + 70 + 0);
}

TEST(SharedReading, EndsWhenAsked) {
  const auto texts = some_texts();
  const Method method = tiny_model().method("rope", "full");
  int64_t steps = 0;
  const SharedReading how{32, 2, true, [&](int64_t) { return ++steps < 3; }};
  EXPECT_FALSE(read_all(tiny_model(), method, spans(texts), how, [](size_t, Session) {}));
  EXPECT_EQ(steps, 3);
}

}  // namespace
}  // namespace longview
