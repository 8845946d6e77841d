// Compressive Transformer (arXiv:1911.05507): Transformer-XL whose oldest memories are not dropped but compressed, c tokens to a slot.
//   memory: the M tokens before the segment     slots: C, each f(c tokens that left the memory), the oldest is dropped
//   attended to at once: [ slots . memory . segment ]
// f is their mean, their maximum, or a convolution (a matrix for each of the c, one set a layer, begins as the mean, is learned).
// The paper keeps and compresses hidden states; here keys and values, not rotated: for the mean that is the same, since both are
// products with them. A slot stands in the middle of its tokens, where the paper counts it as one place; its convolution is over the
// model's width and trained to rebuild attention, ours over a head's and by the text's loss. Gradients stop as in Transformer-XL.
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
    field("function", function, "mean, max or conv (learned) of its tokens");
    field("gradient", gradient, kGradientHelp);
  }
};

SegmentCache cache_of(const CompressiveConfig& c) {
  return {.segment = c.segment, .memory = c.memory, .slots = c.compressed, .rate = c.rate, .is_stopped = c.gradient == "stop"};
}

constexpr const char* kConvolution = "compression";

/// [l,2,c,D,D] of keys and values, at first their mean.
Tensor mean_convolution(const CompressiveConfig& c, const Rotary& rotary) {
  const int64_t D = rotary.head_width;
  return (at::eye(D, at::kFloat) / static_cast<double>(c.rate)).expand({rotary.layers, 2, c.rate, D, D}).contiguous();
}

struct Compressive final : Attention {
  explicit Compressive(const CompressiveConfig& config) : c(config), cache(cache_of(config)) {}
  const Attention& at(int64_t layer) const override { return layers.empty() ? *this : *layers.at(static_cast<size_t>(layer)); }
  std::vector<LearnedValue> learned() const override {
    return initial.defined() ? std::vector<LearnedValue>{{kConvolution, initial}} : std::vector<LearnedValue>();
  }
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
      if (const auto found = state.tensors.find(name); found != state.tensors.end())
        found->second = last(found->second, cache.slots);
    return {out, std::move(state)};
  }

  /// The slots that queries before `end` see, and those that the first token at `end` will.
  Kept compressed(const Kept& recent, int64_t first, int64_t end, State& state) const {
    const int64_t before = cache.written(cache.begin(first)), after = cache.written(cache.begin(end));
    auto& tensors = state.tensors;
    const auto add = [&](const char* name, const Tensor& tokens, int64_t kind) {
      if (after == before) return;
      const Tensor left = tokens.narrow(2, before * c.rate - recent.first, (after - before) * c.rate);
      const Tensor fresh = slots_of(cache.is_stopped ? left.detach() : left, kind);  // [B,G,after-before,D]
      tensors[name] = appended(std::move(tensors[name]), fresh, cache.slots / 4);
    };
    if (cache.slots == 0) return {};
    add("slot_k", recent.k, 0), add("slot_v", recent.v, 1);
    if (!tensors.contains("slot_k")) return {};
    return {tensors["slot_k"], tensors["slot_v"], after - tensors["slot_k"].size(2)};
  }

  /// Keys (kind 0) or values (1) [B,G,n*c,D] -> [B,G,n,D]
  Tensor slots_of(const Tensor& x, int64_t kind) const {
    const Tensor groups = x.unflatten(2, {-1, c.rate});  // [B,G,n,c,D]
    if (convolution.defined()) return at::einsum("bgncd,cde->bgne", {groups, convolution.select(0, kind).to(groups.scalar_type())});
    return c.function == "max" ? groups.amax(3) : groups.mean(3);
  }

  CompressiveConfig c;
  SegmentCache cache;
  Tensor convolution, initial;                             // [2,c,D,D] of a layer; [l,2,c,D,D]; undefined without
  std::vector<std::shared_ptr<const Attention>> layers{};  // with a convolution each its own
};

std::shared_ptr<const Attention> convolving(const CompressiveConfig& c, const Rotary& rotary) {
  const auto of = [&](const Tensor& convolution) {
    auto out = std::make_shared<Compressive>(c);
    out->setting = setting_text("compressive", field_texts(c));
    out->convolution = convolution;
    return out;
  };
  const Tensor initial = mean_convolution(c, rotary);
  const auto learned = rotary.values.find(kConvolution);
  const Tensor all = learned == rotary.values.end() ? initial : learned->second;  // [l,2,c,D,D]
  LV_CHECK(all.sizes() == initial.sizes(), "[compressive] the model has learned to compress {} tokens to a slot; got rate={}",
           all.dim() == 5 ? all.size(2) : 0, c.rate);
  auto out = of(all[0]);
  out->initial = initial;
  for (int64_t layer = 0; layer < rotary.layers; ++layer) out->layers.push_back(of(all[layer]));
  return out;
}

}  // namespace

std::shared_ptr<const Attention> make_compressive(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(CompressiveConfig{}, setting);
  LV_CHECK(c.rate >= 1, "[compressive] rate must be at least 1; got {}", c.rate);
  if (!setting.values.contains("segment"))
    c.segment = std::max(usual_segment(rotary.trained_length, 4) / c.rate, int64_t{1}) * c.rate;
  if (!setting.values.contains("memory")) c.memory = c.segment;
  if (!setting.values.contains("compressed"))
    c.compressed = std::clamp<int64_t>(rotary.trained_length - c.segment - c.memory, 0, 2 * c.segment) / c.rate;
  LV_CHECK(c.function == "mean" || c.function == "max" || c.function == "conv",
           "[compressive] function must be mean, max or conv; got '{}'", c.function);
  check_segments("compressive", cache_of(c), c.gradient, rotary.trained_length);
  return c.function == "conv" ? convolving(c, rotary) : made<Compressive>("compressive", c);
}

}  // namespace longview
