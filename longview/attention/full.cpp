// Full causal attention (arXiv:1706.03762): query i sees every key j <= i. The state grows with the text.
#include "longview/attention/kv.h"
#include "longview/attention/methods.h"
#include "longview/attention/scored.h"

namespace longview {
namespace {

struct FullConfig {
  void fields(auto&&) {}
};

struct Full final : Attention {
  explicit Full(FullConfig) {}
  std::optional<int64_t> bound() const override { return std::nullopt; }

  State rewound(State state, int64_t count) const override {
    LV_CHECK(count >= 0 && count <= state.seen, "[full] cannot go back {} of {} tokens", count, state.seen);
    state.seen -= count;
    for (auto& [name, tensor] : state.tensors) tensor = tensor.narrow(2, 0, state.seen);
    return state;
  }

  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    const int64_t T = x.q.size(2), first = segment.first, length = first + T;
    auto& k = state.tensors["k"];
    auto& v = state.tensors["v"];
    k = appended(std::move(k), x.k, length);  // [B,G,length,D]
    v = appended(std::move(v), x.v, length);  // [B,G,length,D]
    View all{.k = k, .v = v, .from = std::vector<int64_t>(T, 0), .to = {}, .query = {}};
    for (int64_t i = first; i < length; ++i) all.to.push_back(i + 1), all.query.push_back(i);
    state.seen = length;
    if (segment.positions.defined()) return {elsewhere(x, std::move(all), position, segment), std::move(state)};
    return {scored(x.q, {all}, position, length), std::move(state)};
  }

  /// Tokens that do not stand side by side: PoSE, random positions.
  static Tensor elsewhere(const Qkv& x, View all, const Position& position, const Segment& segment) {
    Shapes("full")("positions", segment.positions, "T");
    LV_CHECK(segment.first == 0 && segment.positions.size(0) == x.q.size(2),
             "[full] positions are for whole rows of as many tokens; got {} for {} tokens from {} on", segment.positions.size(0),
             x.q.size(2), segment.first);
    const Tensor places = segment.positions.to(at::kLong).contiguous();  // [T]
    all.query.assign(places.data_ptr<int64_t>(), places.data_ptr<int64_t>() + places.numel());
    all.keys = all.query;
    return scored(x.q, {all}, position, all.query.back() + 1);  // [B,H,T,D]
  }
};

}  // namespace

std::shared_ptr<const Attention> make_full(const Setting& setting, const Rotary&) {
  return made<Full>("full", with_values(FullConfig{}, setting));
}

}  // namespace longview
