// Transformer-XL (arXiv:1901.02860): the text in segments of N tokens; a query sees its own segment up to itself, and the M tokens
// before the segment, whose keys and values are kept. Gradients do not go past the segment.
//   h~ = [ stop(h_memory) . h ]     q = h W_q     k, v = h~ W_k, h~ W_v
// The paper keeps hidden states and multiplies them again; their keys and values, not rotated, are the same. Its relative sinusoids are
// the model's own positions here, which look at distances alone.
#include "longview/attention/methods.h"
#include "longview/attention/segments.h"

namespace longview {
namespace {

struct TransformerXlConfig {
  int64_t segment = 0, memory = 0;
  std::string gradient = "stop";
  void fields(auto&& field) {
    field("segment", segment, "tokens of a segment; 0: 2048, or half of a shorter trained length");
    field("memory", memory, "tokens before the segment that stay visible; left out: as many");
    field("gradient", gradient, kGradientHelp);
  }
};

SegmentCache cache_of(const TransformerXlConfig& c) {
  return {.segment = c.segment, .memory = c.memory, .is_stopped = c.gradient == "stop"};
}

struct TransformerXl final : Attention {
  explicit TransformerXl(const TransformerXlConfig& c) : cache(cache_of(c)) {}
  std::optional<int64_t> bound() const override { return cache.memory + cache.segment; }
  State rewound(State state, int64_t count) const override {
    return rewound_in_segment(cache, "transformer_xl", std::move(state), count);
  }

  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    const int64_t T = x.q.size(2), first = segment.first;
    if (T == 0) return {at::empty_like(x.q), std::move(state)};
    const Tensor out = attended_in_segments(x.q, first, remembered(x, first, cache, state), {}, cache, position);  // [B,H,T,D]
    forget(cache, cache.memory, first + T, state);
    return {out, std::move(state)};
  }

  SegmentCache cache;
};

}  // namespace

std::shared_ptr<const Attention> make_transformer_xl(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(TransformerXlConfig{}, setting);
  if (!setting.values.contains("segment")) c.segment = usual_segment(rotary.trained_length, 2);
  if (!setting.values.contains("memory")) c.memory = c.segment;
  check_segments("transformer_xl", cache_of(c), c.gradient, rotary.trained_length);
  return made<TransformerXl>("transformer_xl", c);
}

}  // namespace longview
