// Stretches of texts from random places; some of them a snippet that repeats itself.
#include "longview/segment/sources.h"

namespace longview {
namespace {

struct TextConfig {
  double loops = 0;
  void fields(auto&& field) {
    field("loops", loops, "share of rows that are a snippet repeated with a period of 64 tokens to half the row");
  }
};

class TextSource final : public Source {
 public:
  TextSource(TextConfig config, const SourceParts& parts) : c(config), pool_(parts.pool), random_{parts.seed} {
    LV_CHECK(pool_ != nullptr, "[text] files is needed: what to read");
    LV_CHECK(c.loops >= 0 && c.loops <= 1, "[text] loops must be from 0 to 1; got {}", c.loops);
  }

  Batch next(const BatchShape& shape) override {
    const int64_t B = shape.rows, T = shape.length;
    LV_CHECK(pool_->size() > T, "[text] the files have {} tokens, fewer than a row of {} and one more", pool_->size(), T);
    const Tensor all = at::empty({B, T + 1}, at::kLong);  // [B,T+1]
    auto* to = all.data_ptr<int64_t>();
    for (int64_t b = 0; b < B; ++b) {
      const int64_t at = random_.between(0, pool_->size() - T - 1);
      const bool is_loop = random_.chance(c.loops);
      const int64_t period = is_loop ? random_.between(std::min<int64_t>(64, T / 2), T / 2) : T + 1;
      for (int64_t t = 0; t <= T; ++t) *to++ = (*pool_)[at + t % period];
    }
    Batch out;
    out.ids = all.narrow(1, 0, T).contiguous(), out.targets = all.narrow(1, 1, T).contiguous();
    return out;
  }

  std::vector<std::string> kinds() const override { return {"text"}; }
  Json state() const override { return random_.state; }
  void restore(const Json& state) override { random_.state = state.get<uint64_t>(); }

 private:
  TextConfig c;
  std::shared_ptr<const TokenPool> pool_;
  Random random_;
};

}  // namespace

std::unique_ptr<Source> make_text_source(const Setting& setting, const SourceParts& parts) {
  return std::make_unique<TextSource>(with_values(TextConfig{}, setting), parts);
}

}  // namespace longview
