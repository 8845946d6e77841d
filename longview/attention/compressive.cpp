// Compressive Transformer (arXiv:1911.05507): Transformer-XL whose oldest memories are not dropped but compressed, c tokens to a slot.
//   memory: the M tokens before the segment     slots: C, each f(c tokens that left the memory), the oldest is dropped
//   attended to at once: [ slots . memory . segment ]      f: mean or max over the c tokens
// The paper keeps and compresses hidden states; here keys and values, not rotated: for the mean that is the same, since both are
// products with them. A slot stands in the middle of its tokens, where the paper counts it as one place. Of the paper's functions the
// learned ones (convolutions, and the loss that trains them) are not here; gradients stop at the segment as with Transformer-XL.
#include "longview/attention/kv.h"
#include "longview/attention/methods.h"
#include "longview/attention/segments.h"

namespace longview {
namespace {

struct CompressiveConfig {
  int64_t segment = 0, memory = 0, compressed = 0, rate = 4;
  std::string function = "mean", gradient = "stop";
  void fields(auto&& field) {
    field("segment", segment, "tokens of a segment; 0: 2048, or a quarter of a shorter trained length");
    field("memory", memory, "tokens before the segment that stay visible; left out: as many");
    field("compressed", compressed, "slots; left out: so many that they stand for two segments, where the trained length allows");
    field("rate", rate, "tokens that a slot stands for");
    field("function", function, "mean or max of its tokens");
    field("gradient", gradient, kGradientHelp);
  }
};

SegmentCache cache_of(const CompressiveConfig& c) {
  return {
      .segment = c.segment, .memory = c.memory, .slots = c.compressed, .rate = c.rate, .is_stopped = c.gradient == "stop"};
}

struct Compressive final : Attention {
  explicit Compressive(const CompressiveConfig& config) : c(config), cache(cache_of(config)) {}
  std::optional<int64_t> bound() const override { return cache.memory + cache.segment; }
  int64_t memory_values(int64_t G, int64_t D) const override { return 2 * G * D * cache.slots; }
  State rewound(State state, int64_t count) const override {
    return rewound_in_segment(cache, "compressive", std::move(state), count);
  }

  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    const int64_t T = x.q.size(2), first = segment.first;
    if (T == 0) return {at::empty_like(x.q), std::move(state)};
    const Kept recent = remembered(x, first, cache, state), slots = compressed(recent, first, first + T, state);
    const Tensor out = attended_in_segments(x.q, first, recent, slots, cache, position);  // [B,H,T,D]
    forget(cache, cache.memory, first + T, state);
    for (const char* name : {"slot_k", "slot_v"})
      if (const auto found = state.tensors.find(name); found != state.tensors.end()) found->second = last(found->second, cache.slots);
    return {out, std::move(state)};
  }

  /// The slots that queries before `end` see, and those that the first token at `end` will.
  Kept compressed(const Kept& recent, int64_t first, int64_t end, State& state) const {
    const int64_t before = cache.written(cache.begin(first)), after = cache.written(cache.begin(end));
    auto& tensors = state.tensors;
    const auto add = [&](const char* name, const Tensor& tokens) {
      if (after == before) return;
      const Tensor left = tokens.narrow(2, before * c.rate - recent.first, (after - before) * c.rate);
      const Tensor fresh = slots_of(cache.is_stopped ? left.detach() : left);  // [B,G,after-before,D]
      tensors[name] = appended(std::move(tensors[name]), fresh, cache.slots / 4);
    };
    if (cache.slots == 0) return {};
    add("slot_k", recent.k), add("slot_v", recent.v);
    if (!tensors.contains("slot_k")) return {};
    return {tensors["slot_k"], tensors["slot_v"], after - tensors["slot_k"].size(2)};
  }

  /// [B,G,n*rate,D] -> [B,G,n,D]
  Tensor slots_of(const Tensor& x) const {
    const Tensor groups = x.unflatten(2, {-1, c.rate});  // [B,G,n,rate,D]
    return c.function == "max" ? groups.amax(3) : groups.mean(3);
  }

  CompressiveConfig c;
  SegmentCache cache;
};

}  // namespace

std::shared_ptr<const Attention> make_compressive(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(CompressiveConfig{}, setting);
  LV_CHECK(c.rate >= 1, "[compressive] rate must be at least 1; got {}", c.rate);
  if (!setting.values.contains("segment")) c.segment = std::max(usual_segment(rotary.trained_length, 4) / c.rate, int64_t{1}) * c.rate;
  if (!setting.values.contains("memory")) c.memory = c.segment;
  if (!setting.values.contains("compressed")) c.compressed = std::clamp<int64_t>(rotary.trained_length - c.segment - c.memory, 0, 2 * c.segment) / c.rate;
  LV_CHECK(c.function == "mean" || c.function == "max", "[compressive] function must be mean or max; got '{}'", c.function);
  check_segments("compressive", cache_of(c), c.gradient, rotary.trained_length);
  return made<Compressive>("compressive", c);
}

}  // namespace longview
