// Recurrent Memory Transformer (arXiv:2207.06881): each segment of N tokens between m memory vectors that it reads and as many that it
// writes, in the model's own stream; nothing else goes from segment to segment.
//   [ h_s . x_s . h_s ] through all layers, causal        h_{s+1} = the last layer's outputs (normed) at the m vectors behind x_s
// h_1 is learned. Gradients go through h over all segments of a batch. A layer sees a text whose segments are m + N + m long
// (model/recurrence.cpp puts the vectors there), and looks back to the beginning of its segment.
#include "longview/attention/methods.h"
#include "longview/attention/segments.h"

namespace longview {
namespace {

constexpr const char* kTokens = "memory_tokens";

struct RecurrentMemoryConfig {
  int64_t segment = 0, tokens = 0;
  void fields(auto&& field) {
    field("segment", segment, "tokens of a segment; 0: 2048, or what the memory leaves of a shorter trained length");
    field("tokens", tokens, "vectors of the memory; 0: as many as were learned, else 16, or an eighth of a shorter trained length");
  }
};

struct RecurrentMemory final : Attention {
  explicit RecurrentMemory(const RecurrentMemoryConfig& c) : cache{.segment = c.segment + 2 * c.tokens, .is_stopped = false} {}
  std::optional<int64_t> bound() const override { return cache.segment; }
  std::vector<LearnedValue> learned() const override { return {{kTokens, initial}}; }
  const Recurrence* recurrence() const override { return &vectors; }

  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    const int64_t T = x.q.size(2), first = segment.first;
    if (T == 0) return {at::empty_like(x.q), std::move(state)};
    const Tensor out = attended_in_segments(x.q, first, remembered(x, first, cache, state), {}, cache, position);  // [B,H,T,D]
    forget(cache, 0, first + T, state);
    return {out, std::move(state)};
  }

  SegmentCache cache;
  Tensor initial;  // f32 [m,E] before training, as large as embeddings are
  Recurrence vectors;
};

}  // namespace

std::shared_ptr<const Attention> make_recurrent_memory(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(RecurrentMemoryConfig{}, setting);
  const auto learned = rotary.values.find(kTokens);
  if (c.tokens == 0 && learned != rotary.values.end() && learned->second.dim() == 2) c.tokens = learned->second.size(0);
  if (c.tokens == 0) c.tokens = std::clamp<int64_t>(rotary.trained_length / 8, 1, 16);
  if (c.segment == 0) c.segment = std::clamp<int64_t>(rotary.trained_length - 2 * c.tokens, 1, 2048);
  LV_CHECK(c.segment >= 1 && c.tokens >= 1, "[recurrent_memory] segment and tokens must be at least 1; got {} and {}", c.segment,
           c.tokens);
  LV_CHECK(c.segment + 2 * c.tokens <= rotary.trained_length,
           "[recurrent_memory] {} tokens between twice {} vectors are more than the {} that the model was trained for", c.segment,
           c.tokens, rotary.trained_length);
  auto method = std::make_shared<RecurrentMemory>(c);
  method->setting = setting_text("recurrent_memory", field_texts(c));
  method->initial = at::randn({c.tokens, rotary.width}, at::make_generator<at::CPUGeneratorImpl>(1), at::kFloat) * 0.05;  // [m,E]
  method->vectors = {c.segment, learned == rotary.values.end() ? method->initial : learned->second};
  Shapes("recurrent_memory")("the model's memory", method->vectors.first, "M E");
  LV_CHECK(method->vectors.first.size(0) == c.tokens && method->vectors.first.size(1) == rotary.width,
           "[recurrent_memory] the model has learned a memory of {} vectors; tokens={} is another memory",
           method->vectors.first.size(0), c.tokens);
  return method;
}

}  // namespace longview
