#include "longview/attention/segments.h"

#include <c10/core/GradMode.h>

#include <numeric>

#include "longview/attention/kv.h"
#include "longview/attention/scored.h"
#include "longview/kernels/bands.h"

namespace longview {
namespace {

/// `tokens` tokens of each of `segments` segments in a row, from `first` on. More than one are whole and see equally much.
struct Part {
  int64_t first, tokens, segments;
  int64_t count() const { return tokens * segments; }
};

Part next_part(int64_t first, int64_t most, const SegmentCache& c) {
  const int64_t begin = c.begin(first), whole = most / c.segment;
  if (first > begin || whole == 0) return {first, std::min(most, begin + c.segment - first), 1};
  return {first, c.segment, begin < c.memory + c.slots * c.rate ? 1 : whole};
}

std::vector<int64_t> counted(int64_t first, int64_t count) {
  std::vector<int64_t> out(static_cast<size_t>(count));
  std::iota(out.begin(), out.end(), first);
  return out;
}

/// What a part sees, places counted from the oldest token that a slot could stand for.
class Sight {
 public:
  Sight(const Part& part, const Kept& recent, const Kept& slots, const SegmentCache& cache)
      : part_(part), recent_(recent), slots_(slots), c_(cache), begin_(cache.begin(part.first)) {}

  std::vector<View> views() const {
    std::vector<View> out;
    const int64_t written = c_.written(begin_), kept = std::min(written, c_.slots), memory = std::min(c_.memory, begin_);
    if (kept > 0) out.push_back(compressed(written - kept, kept));
    out.push_back(tokens(memory));
    if (out.size() == 1 || !c10::GradMode::is_enabled()) return out;
    return {one_of(out[0], out[1])};
  }

 private:
  int64_t place(int64_t token) const { return token - begin_ + c_.memory + c_.slots * c_.rate; }
  std::vector<int64_t> queries() const { return counted(place(part_.first), part_.tokens); }
  std::vector<int64_t> all(int64_t value) const { return std::vector<int64_t>(static_cast<size_t>(part_.tokens), value); }

  /// Slot n stands in the middle of its tokens.
  View compressed(int64_t first, int64_t count) const {
    const auto rows = [&](const Tensor& x) {
      return kernels::stretches(x, first - slots_.first, count, c_.segment / c_.rate, part_.segments);
    };
    View out{.k = rows(slots_.k), .v = rows(slots_.v), .from = all(0), .to = all(count), .query = queries()};
    for (int64_t n = first; n < first + count; ++n) out.keys.push_back(place(n * c_.rate + (c_.rate - 1) / 2));
    out.first = first;
    return out;
  }

  /// The segment's own and the `memory` tokens before them.
  View tokens(int64_t memory) const {
    const int64_t own = part_.first - begin_ + part_.tokens, first = begin_ - memory;
    const auto rows = [&](const Tensor& x) {
      const bool is_cut = c_.is_stopped && memory > 0 && c10::GradMode::is_enabled() && x.requires_grad();
      if (!is_cut) return kernels::stretches(x, first - recent_.first, memory + own, c_.segment, part_.segments);
      return at::cat({kernels::stretches(x.detach(), first - recent_.first, memory, c_.segment, part_.segments),
                      kernels::stretches(x, begin_ - recent_.first, own, c_.segment, part_.segments)},
                     2);  // [B*S,G,memory+own,D]
    };
    View out{.k = rows(recent_.k), .v = rows(recent_.v), .from = all(0), .to = {}, .query = queries(), .key = place(first)};
    out.to = counted(memory + part_.first - begin_ + 1, part_.tokens);
    out.first = first;
    return out;
  }

  static View one_of(const View& a, const View& b) {
    View out = b;
    out.k = at::cat({a.k, b.k}, 2), out.v = at::cat({a.v, b.v}, 2);  // [B*S,G,slots+tokens,D]
    const int64_t count = a.k.size(2);
    for (auto& to : out.to) to += count;
    out.keys = a.keys;
    for (const int64_t place : counted(b.key, b.k.size(2))) out.keys.push_back(place);
    out.first = 0;
    return out;
  }

  const Part& part_;
  const Kept &recent_, &slots_;
  const SegmentCache& c_;
  int64_t begin_;
};

}  // namespace

Tensor attended_in_segments(const Tensor& q, int64_t first, const Kept& recent, const Kept& slots, const SegmentCache& cache,
                            const Position& position) {
  std::vector<Tensor> outs;
  for (int64_t done = 0; done < q.size(2);) {
    const Part part = next_part(first + done, q.size(2) - done, cache);
    const Tensor rows = kernels::stretches(q, done, part.tokens, part.tokens, part.segments);  // [B*S,H,n,D]
    const Tensor out = scored(rows, Sight(part, recent, slots, cache).views(), position, cache.places());
    outs.push_back(kernels::end_to_end(out, part.segments));  // [B,H,S*n,D]
    done += part.count();
  }
  return outs.size() == 1 ? outs[0] : at::cat(outs, 2);  // [B,H,T,D]
}

Kept remembered(const Qkv& x, int64_t first, const SegmentCache& cache, State& state) {
  auto& k = state.tensors["k"];
  auto& v = state.tensors["v"];
  const int64_t spare = (cache.memory + cache.segment) / 4;
  k = appended(std::move(k), x.k, spare);
  v = appended(std::move(v), x.v, spare);
  return {k, v, first + x.k.size(2) - k.size(2)};
}

void forget(const SegmentCache& cache, int64_t tokens, int64_t seen, State& state) {
  const int64_t begin = cache.begin(seen), keep = seen - std::max<int64_t>(begin - tokens, 0);
  for (const char* name : {"k", "v"}) {
    auto& x = state.tensors.at(name);
    if (keep == 0) state.tensors.erase(name);
    else x = last(x, keep);
  }
  state.seen = seen;
}

State rewound_in_segment(const SegmentCache& cache, std::string_view name, State state, int64_t count) {
  const int64_t there = state.seen - cache.begin(state.seen);
  LV_CHECK(count >= 0 && count <= there, "[{}] cannot go back {} tokens: {} were read since its segment began", name, count, there);
  if (count == 0) return state;
  state.seen -= count;
  for (const char* one : {"k", "v"}) {
    auto& x = state.tensors.at(one);
    if (x.size(2) == count) state.tensors.erase(one);
    else x = x.narrow(2, 0, x.size(2) - count);
  }
  return state;
}

int64_t usual_segment(int64_t trained_length, int64_t parts) { return std::clamp<int64_t>(trained_length / parts, 1, 2048); }

void check_segments(std::string_view name, const SegmentCache& c, const std::string& gradient, int64_t trained_length) {
  LV_CHECK(c.segment >= 1, "[{}] segment must be at least 1; got {}", name, c.segment);
  LV_CHECK(c.memory >= 0 && c.slots >= 0, "[{}] what is kept must not be negative; got {} tokens and {} slots", name, c.memory,
           c.slots);
  LV_CHECK(c.rate >= 1 && c.segment % c.rate == 0 && c.memory % c.rate == 0,
           "[{}] rate must divide the segment and the memory; got {}, {} and {}", name, c.rate, c.segment, c.memory);
  LV_CHECK(c.places() <= trained_length, "[{}] a query would look back over {} tokens; the model was trained for {}: take less",
           name, c.places(), trained_length);
  LV_CHECK(gradient == "stop" || gradient == "through", "[{}] gradient must be stop or through; got '{}'", name, gradient);
}

}  // namespace longview
