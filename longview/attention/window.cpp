// Sliding-window attention (kexue.fm/archives/9431, arXiv:2310.06825): query i sees the keys j with 0 <= i - j < window. With the
// trained length as window it is the "super baseline" of the former: every query sees as many tokens as in training.
#include "longview/attention/kv.h"
#include "longview/attention/methods.h"
#include "longview/attention/scored.h"

namespace longview {
namespace {

struct WindowConfig {
  int64_t window = 0;
  void fields(auto&& field) { field("window", window, "tokens a query sees, itself included; 0: the trained length"); }
};

struct Window final : Attention {
  explicit Window(WindowConfig config) : c(config) {}
  std::optional<int64_t> bound() const override { return c.window; }

  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    const int64_t T = x.q.size(2), first = segment.first, length = first + T;
    auto& k = state.tensors["k"];
    auto& v = state.tensors["v"];
    k = appended(std::move(k), x.k, c.window / 4);
    v = appended(std::move(v), x.v, c.window / 4);
    const View recent = sliding_view(k, v, first, T, c.window, c.window, 0);
    const Tensor out = scored(x.q, {recent}, position, std::min(length, c.window));  // [B,H,T,D]
    k = last(k, c.window - 1), v = last(v, c.window - 1);
    state.seen = length;
    return {out, std::move(state)};
  }

  WindowConfig c;
};

}  // namespace

std::shared_ptr<const Attention> make_window(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(WindowConfig{}, setting);
  LV_CHECK(!setting.values.contains("window") || c.window >= 1, "[window] window must be at least 1; got {}", c.window);
  if (c.window == 0) c.window = rotary.trained_length;
  return made<Window>("window", c);
}

std::shared_ptr<const Attention> make_super_baseline(const Setting& setting, const Rotary& rotary) {
  LV_CHECK(setting.values.empty(), "[super_baseline] takes no settings; window:window=N is one of your own");
  auto method = std::make_shared<Window>(WindowConfig{rotary.trained_length});
  method->setting = "super_baseline";
  return method;
}

}  // namespace longview
