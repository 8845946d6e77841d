// LM-Infinite (arXiv:2308.16137): a query sees the first `globals` tokens and the last `window` ones, and no distance is larger than
// the cap.   d(i,j) = min(i - j, cap)
#include "longview/attention/kv.h"
#include "longview/attention/methods.h"
#include "longview/attention/scored.h"

namespace longview {
namespace {

struct LmInfiniteConfig {
  int64_t window = 0, globals = 10, cap = 0;
  void fields(auto&& field) {
    field("window", window, "last tokens a query sees, itself included; 0: the trained length");
    field("globals", globals, "first tokens that every query sees");
    field("cap", cap, "largest distance; 0: the trained length");
  }
};

struct LmInfinite final : Attention {
  explicit LmInfinite(LmInfiniteConfig config) : c(config) {}
  std::optional<int64_t> bound() const override { return c.window + c.globals; }

  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    const int64_t T = x.q.size(2), first = segment.first, length = first + T;
    auto& tensors = state.tensors;
    const int64_t missing = std::min(c.globals - std::min(first, c.globals), T);  // globals that this segment brings
    if (missing > 0 || (c.globals > 0 && !tensors.contains("global_k"))) {
      tensors["global_k"] = appended(std::move(tensors["global_k"]), x.k.narrow(2, 0, missing), 0);  // [B,G,<=globals,D]
      tensors["global_v"] = appended(std::move(tensors["global_v"]), x.v.narrow(2, 0, missing), 0);
    }
    auto& k = tensors["k"];
    auto& v = tensors["v"];
    k = appended(std::move(k), x.k, c.window / 4);
    v = appended(std::move(v), x.v, c.window / 4);
    std::vector<View> views{sliding_view(k, v, first, T, c.window, c.window, c.globals)};
    if (c.globals > 0) views.push_back(globals(state, first, T)), views.push_back(far_globals(state, first, T));
    const Tensor out = scored(x.q, views, position, std::min(length, std::max(c.window, c.cap)));  // [B,H,T,D]
    k = last(k, c.window - 1), v = last(v, c.window - 1);
    state.seen = length;
    return {out, std::move(state)};
  }

  /// The first tokens while they are nearer than the cap.
  View globals(const State& state, int64_t first, int64_t T) const {
    View view{.k = state.tensors.at("global_k"), .v = state.tensors.at("global_v"), .from = {}, .to = {}, .query = {}};
    for (int64_t i = first; i < first + T; ++i) {
      view.from.push_back(std::clamp<int64_t>(i - c.cap + 1, 0, c.globals));
      view.to.push_back(std::min(i + 1, c.globals));
      view.query.push_back(std::min(i, c.cap + c.globals));
    }
    return view;
  }

  /// The first tokens from then on: all at the cap.
  View far_globals(const State& state, int64_t first, int64_t T) const {
    View view{.k = state.tensors.at("global_k"), .v = state.tensors.at("global_v"), .from = {}, .to = {}, .query = {}};
    view.distance = c.cap;
    for (int64_t i = first; i < first + T; ++i) {
      view.from.push_back(0);
      view.to.push_back(std::clamp<int64_t>(i - c.cap + 1, 0, c.globals));
      view.query.push_back(std::min(i, c.cap + c.globals));
    }
    return view;
  }

  LmInfiniteConfig c;
};

}  // namespace

std::shared_ptr<const Attention> make_lm_infinite(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(LmInfiniteConfig{}, setting);
  if (!setting.values.contains("window")) c.window = rotary.trained_length;
  if (!setting.values.contains("cap")) c.cap = std::max(rotary.trained_length, c.window);
  LV_CHECK(c.window >= 1, "[lm_infinite] window must be at least 1; got {}", c.window);
  LV_CHECK(c.globals >= 0, "[lm_infinite] globals must not be negative; got {}", c.globals);
  LV_CHECK(c.cap >= c.window, "[lm_infinite] cap must be at least the window of {}; got {}", c.window, c.cap);
  return made<LmInfinite>("lm_infinite", c);
}

}  // namespace longview
