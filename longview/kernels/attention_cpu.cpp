// Attention on the CPU (the online softmax of FlashAttention, arXiv:2205.14135). A set's keys are cut into spans of 512 and tiles
// of 64 at multiples counted from the start of the text; spans are summed on their own and merged in order, which lets few rows
// use all threads and makes the result independent of how the text was cut into calls. Loops that have matrix tiles take them for many
// rows only, so there a call of few rows differs from one of many in the last bits.
#include <algorithm>
#include <atomic>
#include <limits>

#include "longview/kernels/attention.h"
#include "longview/kernels/loops.h"

namespace longview::kernels {
namespace {

constexpr int64_t kRows = kTileRows, kTile = kTileKeys;
constexpr int64_t kSpan = 512;  // keys a span
constexpr int64_t kGroups = 6;  // groups a work item: its keys are rotated once for all of them

constexpr float kNothing = -std::numeric_limits<float>::infinity();

struct Call {            // one call of attention, shared by its work items
  Tensor q, out, scale;  // [B,H,Tq,D], any strides but the last
  const std::vector<KeySet>* sets;
  int64_t H, G, T, D, R;  // R = H / G query heads share a key head; a row is (t, r)
  int64_t rows() const { return T * R; }
};

/// Rows [row, row+64) of a head as panels: rotated and scaled queries of one set, ranges, and the spread of the ranges.
struct Group {
  std::vector<float> q = std::vector<float>(0);
  std::vector<CacheLine> q_tiles = std::vector<CacheLine>(0);
  int64_t rows = 0;  // how many of the 64 there are
  int32_t from[kRows], to[kRows];
  int32_t least = 0, most = 0, common_from = 0, common_to = 0;  // union and intersection of the rows' ranges
};

void load_group(const Call& call, const KeySet& set, int64_t b, int64_t g, int64_t row, Group& group) {
  group.q.assign(call.D * kRows, 0.0F);
  group.rows = std::min(kRows, call.rows() - row);
  group.least = std::numeric_limits<int32_t>::max(), group.most = 0, group.common_from = 0, group.common_to = group.least;
  const int64_t M = set.query.cos.defined() ? set.query.cos.size(1) : 0;
  const float *cos = M > 0 ? set.query.cos.data_ptr<float>() : nullptr, *sin = M > 0 ? set.query.sin.data_ptr<float>() : nullptr;
  const float *first = call.q.data_ptr<float>() + b * call.q.stride(0), *scales = call.scale.data_ptr<float>();
  const int64_t of_head = call.q.stride(1), of_row = call.q.stride(2);
  for (int64_t lane = 0; lane < kRows; ++lane) {
    const int64_t t = (row + lane) / call.R, r = (row + lane) % call.R;
    if (row + lane >= call.rows()) {
      group.from[lane] = group.to[lane] = 0;
      continue;
    }
    group.from[lane] = static_cast<int32_t>(set.from[t]), group.to[lane] = static_cast<int32_t>(std::max(set.from[t], set.to[t]));
    if (group.from[lane] < group.to[lane])
      group.least = std::min(group.least, group.from[lane]), group.most = std::max(group.most, group.to[lane]);
    group.common_from = std::max(group.common_from, group.from[lane]), group.common_to = std::min(group.common_to, group.to[lane]);
    const float* x = first + (g * call.R + r) * of_head + t * of_row;
    const float scale = scales[t];
    float* q = group.q.data() + lane;
    for (int64_t m = 0; m < M; ++m) {
      const float c = cos[t * M + m], s = sin[t * M + m];
      q[m * kRows] = (x[m] * c - x[m + M] * s) * scale;
      q[(m + M) * kRows] = (x[m + M] * c + x[m] * s) * scale;
    }
    for (int64_t d = 2 * M; d < call.D; ++d) q[d * kRows] = x[d] * scale;
  }
}

HeadKeys keys_of(const KeySet& set, int64_t b, int64_t g) {
  HeadKeys head{};
  head.k = set.k.data_ptr<float>() + b * set.k.stride(0) + g * set.k.stride(1);
  head.stride_k = set.k.stride(2), head.width = set.k.size(3);
  if (set.key.cos.defined()) {
    head.cos = set.key.cos.data_ptr<float>(), head.sin = set.key.sin.data_ptr<float>();
    head.pairs = set.key.cos.size(1);
  }
  return head;
}

/// Adds `part` to `sum` (both of one group), as if their keys had been in one softmax. Parts come in the order of the keys.
void merge(const SoftmaxSums& part, const SoftmaxSums& sum, int64_t D) {
  float keep[kRows], add[kRows];
  for (int64_t lane = 0; lane < kRows; ++lane) {
    const float maximum = std::max(part.maximum[lane], sum.maximum[lane]);
    const float pivot = maximum == kNothing ? 0 : maximum;
    keep[lane] = sum.total[lane] > 0 ? std::exp(sum.maximum[lane] - pivot) : 0;
    add[lane] = part.total[lane] > 0 ? std::exp(part.maximum[lane] - pivot) : 0;
    sum.maximum[lane] = maximum;
    sum.total[lane] = sum.total[lane] * keep[lane] + part.total[lane] * add[lane];
  }
  for (int64_t d = 0; d < D; ++d)
    for (int64_t lane = 0; lane < kRows; ++lane)
      sum.values[d * kRows + lane] = sum.values[d * kRows + lane] * keep[lane] + part.values[d * kRows + lane] * add[lane];
}

int64_t partial_size(int64_t D) { return (D + 2) * kRows; }

SoftmaxSums partial_at(float* at, int64_t D) { return {at, at + D * kRows, at + (D + 1) * kRows}; }

void clear(const SoftmaxSums& part, int64_t D) {
  std::fill_n(part.values, D * kRows, 0.0F);
  std::fill_n(part.maximum, kRows, kNothing);
  std::fill_n(part.total, kRows, 0.0F);
}

/// Spans of one set that some row of some group sees: [first, last) in units of kSpan of the text.
std::pair<int64_t, int64_t> spans_of(const KeySet& set, const Call& call, int64_t row, int64_t rows) {
  int64_t least = std::numeric_limits<int64_t>::max(), most = -1;
  for (int64_t t = row / call.R; t <= (row + rows - 1) / call.R; ++t)
    if (set.from[t] < set.to[t]) least = std::min(least, set.from[t]), most = std::max(most, set.to[t]);
  if (most < 0) return {0, 0};
  return {(set.first + least) / kSpan, (set.first + most - 1) / kSpan + 1};
}

struct Scratch {
  std::vector<float> keys, scores, parts;
  std::vector<CacheLine> k_tiles, v_tiles;
  std::vector<Group> groups;
};

/// How the loops want operands for many rows, if not as they are; narrow heads would be mostly padding.
const Packing* packing_of(const Call& call) {
  constexpr int64_t kLeastWidth = 32;
  return call.rows() > kRows && call.D >= kLeastWidth ? loops().packing : nullptr;
}

struct KeyTile {
  const float* v;
  int64_t first;  // key that the tile begins with
};

/// Keys [first, next) into the scratch. Matrix tiles are summed in blocks, so there a tile that lacks its first keys (the text's
/// multiples of 64 count) has nothing in their places.
KeyTile load_keys(const Call& call, const KeySet& set, const HeadKeys& head, const float* v, int64_t first, int64_t next,
                  Scratch& scratch) {
  v += first * set.v.stride(2);
  const Packing* packing = packing_of(call);
  const int64_t lacking = packing != nullptr ? (set.first + first) % kTile : 0;
  std::fill_n(scratch.keys.begin(), lacking * call.D, 0.0F);
  loops().rotate_keys(head, first, next - first, scratch.keys.data() + lacking * call.D);
  if (packing != nullptr) {
    const int64_t end = lacking + next - first;
    packing->rows(scratch.keys.data(), end, call.D, call.D, scratch.k_tiles.data());
    packing->transposed(v, lacking, end, call.D, set.v.stride(2), scratch.v_tiles.data());
  }
  return {v, first - lacking};
}

/// One span of one set for `groups` groups of rows: their partial softmax, starting from nothing.
void attend_span(const Call& call, const KeySet& set, int64_t b, int64_t g, std::span<Group> groups, int64_t span, Scratch& scratch,
                 float* parts) {
  const HeadKeys head = keys_of(set, b, g);
  const float* v = set.v.data_ptr<float>() + b * set.v.stride(0) + g * set.v.stride(1);
  const int64_t begin = std::max<int64_t>(span * kSpan - set.first, 0),
                end = std::min((span + 1) * kSpan - set.first, set.k.size(2));
  for (size_t n = 0; n < groups.size(); ++n) clear(partial_at(parts + n * partial_size(call.D), call.D), call.D);
  for (int64_t first = begin; first < end;) {
    const int64_t next = std::min(((set.first + first) / kTile + 1) * kTile - set.first, end);
    const auto sees = [&](const Group& group) { return group.least < next && group.most > first; };
    if (std::any_of(groups.begin(), groups.end(), sees)) {
      const KeyTile tile = load_keys(call, set, head, v, first, next, scratch);
      for (size_t n = 0; n < groups.size(); ++n) {
        const Group& group = groups[n];
        if (!sees(group)) continue;
        const bool is_masked = tile.first < group.common_from || next > group.common_to;
        loops().attend({group.q.data(), scratch.keys.data(), tile.v, next - tile.first, tile.first, call.D, set.v.stride(2),
                        group.from, group.to, is_masked, group.rows, partial_at(parts + n * partial_size(call.D), call.D),
                        scratch.scores.data(), packing_of(call) != nullptr ? group.q_tiles.data() : nullptr, scratch.k_tiles.data(),
                        scratch.v_tiles.data()});
      }
    }
    first = next;
  }
}

void finish(const Call& call, int64_t b, int64_t g, int64_t row, const SoftmaxSums& sum) {
  const auto stride = call.out.strides();
  for (int64_t lane = 0; lane < std::min(kRows, call.rows() - row); ++lane) {
    const int64_t t = (row + lane) / call.R, r = (row + lane) % call.R;
    float* out = call.out.data_ptr<float>() + b * stride[0] + (g * call.R + r) * stride[1] + t * stride[2];
    const float inverse = sum.total[lane] > 0 ? 1 / sum.total[lane] : 0;
    for (int64_t d = 0; d < call.D; ++d) out[d] = sum.values[d * kRows + lane] * inverse;
  }
}

Scratch& scratch_of(const Call& call, int64_t parts) {
  thread_local Scratch scratch;
  scratch.keys.resize(kTile * call.D);
  scratch.scores.resize(std::max(kTile, call.D) * kRows);
  scratch.groups.resize(kGroups);
  if (packing_of(call) != nullptr) {
    scratch.k_tiles.resize(packed_bytes(kTile, call.D) / sizeof(CacheLine));
    scratch.v_tiles.resize(packed_bytes(call.D, kTile) / sizeof(CacheLine));
    for (auto& group : scratch.groups) group.q_tiles.resize(packed_bytes(kRows, call.D) / sizeof(CacheLine));
  }
  if (static_cast<int64_t>(scratch.parts.size()) < parts * partial_size(call.D)) scratch.parts.resize(parts * partial_size(call.D));
  return scratch;
}

/// Many rows: a work item is up to kGroups groups of one head and walks all sets and spans.
void attend_rows(const Call& call, int64_t b, int64_t g, int64_t row) {
  Scratch& scratch = scratch_of(call, 2 * kGroups);
  const int64_t rows = std::min(kGroups * kRows, call.rows() - row), count = (rows + kRows - 1) / kRows;
  float *sums = scratch.parts.data(), *parts = sums + kGroups * partial_size(call.D);
  for (int64_t n = 0; n < count; ++n) clear(partial_at(sums + n * partial_size(call.D), call.D), call.D);
  for (const auto& set : *call.sets) {
    for (int64_t n = 0; n < count; ++n) {
      Group& group = scratch.groups[n];
      load_group(call, set, b, g, row + n * kRows, group);
      if (const Packing* packing = packing_of(call)) packing->columns(group.q.data(), call.D, group.q_tiles.data());
    }
    const auto [first, last] = spans_of(set, call, row, rows);
    for (int64_t span = first; span < last; ++span) {
      attend_span(call, set, b, g, {scratch.groups.data(), static_cast<size_t>(count)}, span, scratch, parts);
      for (int64_t n = 0; n < count; ++n)
        merge(partial_at(parts + n * partial_size(call.D), call.D), partial_at(sums + n * partial_size(call.D), call.D), call.D);
    }
  }
  for (int64_t n = 0; n < count; ++n) finish(call, b, g, row + n * kRows, partial_at(sums + n * partial_size(call.D), call.D));
}

struct SpanItem {  // one span of one set for one head
  int64_t b, g, set, span;
};

/// Few rows (one group a head): a work item is one span; the parts are merged in order afterwards.
void attend_spans(const Call& call) {
  std::vector<SpanItem> items;
  for (int64_t b = 0; b < call.q.size(0); ++b)
    for (int64_t g = 0; g < call.G; ++g)
      for (size_t s = 0; s < call.sets->size(); ++s) {
        const auto [first, last] = spans_of((*call.sets)[s], call, 0, call.rows());
        for (int64_t span = first; span < last; ++span) items.push_back({b, g, static_cast<int64_t>(s), span});
      }
  const int64_t size = partial_size(call.D);
  std::vector<float> parts(items.size() * size), sum(size);
  int64_t keys = 0;
  for (const auto& set : *call.sets) keys = std::max(keys, set.k.size(2));
  const int64_t grain = keys <= kTile ? static_cast<int64_t>(items.size()) : 1;  // one tile a head is not worth waking threads
  at::parallel_for(0, static_cast<int64_t>(items.size()), grain, [&](int64_t begin, int64_t end) {
    Scratch& scratch = scratch_of(call, 0);
    for (int64_t n = begin; n < end; ++n) {
      const SpanItem& item = items[n];
      const KeySet& set = (*call.sets)[item.set];
      const bool is_loaded = n > begin && items[n - 1].set == item.set && items[n - 1].g == item.g && items[n - 1].b == item.b;
      if (!is_loaded) load_group(call, set, item.b, item.g, 0, scratch.groups[0]);
      attend_span(call, set, item.b, item.g, {scratch.groups.data(), 1}, item.span, scratch, parts.data() + n * size);
    }
  });
  size_t n = 0;
  for (int64_t b = 0; b < call.q.size(0); ++b)
    for (int64_t g = 0; g < call.G; ++g) {
      clear(partial_at(sum.data(), call.D), call.D);
      for (; n < items.size() && items[n].b == b && items[n].g == g; ++n)
        merge(partial_at(parts.data() + n * size, call.D), partial_at(sum.data(), call.D), call.D);
      finish(call, b, g, 0, partial_at(sum.data(), call.D));
    }
}

bool is_row_major(const Tensor& x) { return x.stride(-1) == 1 || x.size(-1) == 1; }

}  // namespace

std::string attention_cpu_refusal(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale) {
  if (!q.device().is_cpu()) return "the tensors are not on the CPU";
  if (q.scalar_type() != at::kFloat) return "the tensors are not f32";
  if (needs_gradient(q, sets, scale)) return "a gradient is needed";
  for (const auto& set : sets) {
    if (set.bias.defined()) return "the scores have a bias";
    if (!is_row_major(set.k) || !is_row_major(set.v)) return "a head's values do not lie side by side";
    for (const Tensor* table : {&set.query.cos, &set.query.sin, &set.key.cos, &set.key.sin})
      if (table->defined() && !table->is_contiguous()) return "the rows of a rotation do not lie one after the other";
  }
  return "";
}

Tensor attention_cpu(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale) {
  const int64_t B = q.size(0), H = q.size(1), T = q.size(2), D = q.size(3), G = sets.empty() ? H : sets[0].k.size(1);
  const Tensor out = at::empty({B, T, H, D}).transpose(1, 2);  // [B,H,T,D], heads of a token side by side
  const Tensor rows = is_row_major(q) ? q : q.contiguous();
  const Call call{rows, out, scale.to(at::kFloat).contiguous(), &sets, H, G, T, D, H / G};
  if (call.rows() <= kRows) {
    attend_spans(call);
    return out;
  }
  const int64_t blocks = (call.rows() + kGroups * kRows - 1) / (kGroups * kRows);
  std::atomic<int64_t> next = 0;  // later rows see more keys, so threads take items as they come free, the long ones first
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    for (int64_t n = 0; (n = next++) < B * G * blocks;)
      attend_rows(call, n / G % B, n % G, (blocks - 1 - n / G / B) * kGroups * kRows);
  });
  return out;
}

}  // namespace longview::kernels
