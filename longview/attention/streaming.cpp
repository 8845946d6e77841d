// StreamingLLM (arXiv:2309.17453): the first `sinks` tokens stay, the rest of the window slides, and positions are places in the
// cache. A query at i >= window has place window - 1: among the recent tokens distances are true, to sink j it is window - 1 - j.
//   cache(i) = {0 .. sinks-1} + {i - (window - sinks) + 1 .. i}
#include "longview/attention/kv.h"
#include "longview/attention/methods.h"
#include "longview/attention/scored.h"

namespace longview {
namespace {

struct StreamingConfig {
  int64_t window = 0, sinks = 4;
  void fields(auto&& field) {
    field("window", window, "tokens in the cache, sinks included; 0: the trained length");
    field("sinks", sinks, "tokens at the start of the text that are never dropped");
  }
};

struct Streaming final : Attention {
  explicit Streaming(StreamingConfig config) : c(config) {}
  std::optional<int64_t> bound() const override { return c.window; }

  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    const int64_t T = x.q.size(2), first = segment.first, length = first + T, recent = c.window - c.sinks;
    auto& tensors = state.tensors;
    const int64_t missing = std::min(c.sinks - std::min(first, c.sinks), T);  // sinks that this segment brings
    if (missing > 0 || (c.sinks > 0 && !tensors.contains("sink_k"))) {
      tensors["sink_k"] = appended(std::move(tensors["sink_k"]), x.k.narrow(2, 0, missing), 0);  // [B,G,<=sinks,D]
      tensors["sink_v"] = appended(std::move(tensors["sink_v"]), x.v.narrow(2, 0, missing), 0);
    }
    auto& k = tensors["k"];
    auto& v = tensors["v"];
    k = appended(std::move(k), x.k, c.window / 4);
    v = appended(std::move(v), x.v, c.window / 4);
    std::vector<View> views;
    if (c.sinks > 0) views.push_back(sinks(state, first, T));
    views.push_back(sliding_view(k, v, first, T, c.window, recent, c.sinks));
    const Tensor out = scored(x.q, views, position, std::min(length, c.window));  // [B,H,T,D]
    k = last(k, recent - 1), v = last(v, recent - 1);
    state.seen = length;
    return {out, std::move(state)};
  }

  View sinks(const State& state, int64_t first, int64_t T) const {
    View view{.k = state.tensors.at("sink_k"),
              .v = state.tensors.at("sink_v"),
              .from = std::vector<int64_t>(T, 0),
              .to = {},
              .query = {}};
    for (int64_t i = first; i < first + T; ++i) {
      view.to.push_back(std::min(i + 1, c.sinks));
      view.query.push_back(std::min(i, c.window - 1));
    }
    return view;
  }

  StreamingConfig c;
};

}  // namespace

std::shared_ptr<const Attention> make_streaming(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(StreamingConfig{}, setting);
  if (!setting.values.contains("window")) c.window = rotary.trained_length;
  LV_CHECK(c.sinks >= 0, "[streaming] sinks must not be negative; got {}", c.sinks);
  LV_CHECK(c.window > c.sinks, "[streaming] window must be larger than its {} sinks; got {}", c.sinks, c.window);
  return made<Streaming>("streaming", c);
}

}  // namespace longview
