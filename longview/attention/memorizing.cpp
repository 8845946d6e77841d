// Memorizing Transformer (arXiv:2203.08913): Transformer-XL, and in some layers the k nearest of the keys that have left its cache.
//   a = g a_memory + (1 - g) a_local      a_memory = softmax over the k largest q.k / sqrt(D) of the memory, for each head and query
// Keys of the memory and the queries that search it are not rotated, and the search is exact. As in the paper nothing is learned
// through the memory, and a gate a head (Qkv::gate) mixes; while the memory is empty the gate is closed. The paper also norms queries
// and keys, against keys that were written by older weights, and lets the memory hold what the cache holds too; here a token is in the
// segment, in the cache or in the memory. It says nothing of grouped heads: query heads that share keys search for themselves.
#include <c10/core/GradMode.h>

#include "longview/attention/layers.h"
#include "longview/attention/methods.h"
#include "longview/attention/segments.h"

namespace longview {
namespace {

constexpr int64_t kScores = int64_t{1} << 24;  // made at once by the search

struct MemorizingConfig {
  int64_t segment = 0, cache = 0, memory = 65536, top = 32;
  std::string layers, gradient = "stop";
  void fields(auto&& field) {
    field("segment", segment, "tokens of a segment; 0: 2048, or half of a shorter trained length");
    field("cache", cache, "tokens before the segment that stay visible; left out: as many");
    field("memory", memory, "tokens kept beyond those; 0: all");
    field("top", top, "keys a query finds there");
    field("layers", layers, "layers that have the memory: 8-9/11; left out: one, at three quarters of the depth");
    field("gradient", gradient, kGradientHelp);
  }
};

SegmentCache cache_of(const MemorizingConfig& c) {
  return {.segment = c.segment, .memory = c.cache, .is_stopped = c.gradient == "stop"};
}

struct Memorizing final : Attention {
  explicit Memorizing(const MemorizingConfig& config)
      : c(config),
        cache(cache_of(c)),
        layers("memorizing", c.layers),
        others(make_attention(fmt::format("transformer_xl:segment={},memory={},gradient={}", c.segment, c.cache, c.gradient),
                              {.trained_length = c.segment + c.cache})) {}

  const Attention& at(int64_t layer) const override { return layers.has(layer) ? *this : *others; }
  std::optional<int64_t> bound() const override {
    return c.memory == 0 ? std::nullopt : std::optional(cache.memory + cache.segment);
  }
  int64_t memory_values(int64_t G, int64_t D) const override { return 2 * G * D * c.memory; }
  bool has_gates() const override { return true; }
  State rewound(State state, int64_t count) const override {
    return rewound_in_segment(cache, "memorizing", std::move(state), count);
  }

  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    LV_CHECK(x.gate.defined(), "[memorizing] this model has no gates for a memory: train one with [model] gate = \"sigmoid\"");
    const int64_t T = x.q.size(2), first = segment.first;
    if (T == 0) return {at::empty_like(x.q), std::move(state)};
    const Kept kept = remembered(x, first, cache, state);
    const Tensor local = attended_in_segments(x.q, first, kept, {}, cache, position);  // [B,H,T,D]
    std::vector<Tensor> outs;
    for (int64_t done = 0; done < T;) {
      const int64_t begin = cache.begin(first + done), count = std::min(T - done, begin + c.segment - first - done);
      outs.push_back(mixed(x, local, done, count, kept, begin - cache.memory));
      done += count;
    }
    forget(cache, c.memory == 0 ? first + T : cache.memory + c.memory, first + T, state);
    return {at::cat(outs, 2), std::move(state)};
  }

  /// Queries [first, first + count) of this call, of one segment; the memory ends before token `end` of the text.
  Tensor mixed(const Qkv& x, const Tensor& local, int64_t first, int64_t count, const Kept& kept, int64_t end) const {
    const Tensor own = local.narrow(2, first, count);  // [B,H,n,D]
    if (end <= 0) return own;
    const int64_t begin = c.memory == 0 ? 0 : std::max<int64_t>(end - c.memory, 0);
    const auto old = [&](const Tensor& y) {
      const Tensor rows = y.narrow(2, begin - kept.first, end - begin);  // [B,G,K,D]
      return cache.is_stopped ? rows.detach() : rows;
    };
    const Tensor found = searched(x.q.narrow(2, first, count), old(kept.k), old(kept.v));  // [B,H,n,D]
    const Tensor gate = x.gate.to(own.options()).view({1, -1, 1, 1});                      // [1,H,1,1]
    return own + gate * (found - own);
  }

  /// q [B,H,n,D] over the best of k and v [B,G,K,D] -> [B,H,n,D]
  Tensor searched(const Tensor& q, const Tensor& k, const Tensor& v) const {
    const int64_t B = q.size(0), H = q.size(1), n = q.size(2), D = q.size(3), G = k.size(1), K = k.size(2);
    const int64_t rows = H / G * n, top = std::min(c.top, K);
    const Tensor grouped = q.reshape({B, G, rows, D});               // [B,G,R,D]
    const Tensor best = nearest(grouped.detach(), k.detach(), top);  // [B,G,R,top]
    const auto picked = [&](const Tensor& x) {
      const Tensor index = best.reshape({B, G, rows * top, 1}).expand({B, G, rows * top, D});
      return x.gather(2, index).view({B, G, rows, top, D});
    };
    const Tensor scaled = grouped / std::sqrt(static_cast<double>(D));                      // [B,G,R,D]
    const Tensor score = at::matmul(picked(k), scaled.unsqueeze(-1)).squeeze(-1);           // [B,G,R,top]
    const Tensor out = at::matmul(score.softmax(-1).unsqueeze(-2), picked(v)).squeeze(-2);  // [B,G,R,D]
    return out.view({B, H, n, D});
  }

  /// Which keys have the largest products with each query: int64 [B,G,R,top].
  static Tensor nearest(const Tensor& q, const Tensor& k, int64_t top) {
    const int64_t R = q.size(2), block = std::max<int64_t>(1, kScores / (q.size(0) * q.size(1) * k.size(2)));
    std::vector<Tensor> outs;
    for (int64_t row = 0; row < R; row += block) {
      const Tensor score = at::matmul(q.narrow(2, row, std::min(block, R - row)), k.transpose(-1, -2));  // [B,G,block,K]
      outs.push_back(std::get<1>(score.topk(top, -1, /*largest=*/true, /*sorted=*/false)));
    }
    return at::cat(outs, 2);
  }

  MemorizingConfig c;
  SegmentCache cache;
  LayerRanges layers;
  std::shared_ptr<const Attention> others;
};

}  // namespace

std::shared_ptr<const Attention> make_memorizing(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(MemorizingConfig{}, setting);
  if (!setting.values.contains("segment")) c.segment = usual_segment(rotary.trained_length, 2);
  if (!setting.values.contains("cache")) c.cache = c.segment;
  if (!setting.values.contains("layers")) c.layers = fmt::format("{}", std::max<int64_t>(rotary.layers * 3 / 4 - 1, 0));
  LV_CHECK(c.memory >= 0 && c.top >= 1, "[memorizing] memory must not be negative and top at least 1; got {} and {}", c.memory,
           c.top);
  check_segments("memorizing", cache_of(c), c.gradient, rotary.trained_length);
  return made<Memorizing>("memorizing", c);
}

}  // namespace longview
