// The reader: segment by segment; logits exist for a few rows at a time, losses are summed by bucket.
#include "longview/infer/reader.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <limits>

#include "longview/kernels/elementwise.h"

namespace longview {
namespace {

constexpr int64_t kLogitRows = 128;         // rows of logits that exist at once: 25 MB at a vocabulary of 49,152
constexpr int64_t kDeviceLogitRows = 4096;  // and on a GPU, which few rows keep waiting
constexpr int64_t kLeastOffsets = 8;        // tokens of the first bucket of offsets

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

std::vector<int64_t> default_edges(int64_t trained_length) {
  std::vector<int64_t> edges{0};
  for (const int64_t share : {8, 4, 2}) edges.push_back(trained_length / share);
  for (int64_t edge = trained_length; edge <= (int64_t{1} << 40); edge *= 2) {
    edges.push_back(edge);
    edges.push_back(edge + edge / 2);
  }
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  return edges;
}

Reader::Reader(const Transformer& model, const Method& method, ReadOptions options, Session& session)
    : model_(model),
      method_(method),
      options_(std::move(options)),
      session_(session),
      cut_(options_.chunk, session.state.seen(), [this](const Segment& segment) { take(segment); }) {
  if (options_.edges.empty()) options_.edges = default_edges(model.config().trained_length);
  LV_CHECK(options_.edges.front() >= 0 && std::is_sorted(options_.edges.begin(), options_.edges.end(), std::less_equal<>()),
           "[read] buckets must begin at 0 or more and grow");
  for (size_t i = 0; i < options_.edges.size(); ++i) {
    const int64_t end = i + 1 < options_.edges.size() ? options_.edges[i + 1] : std::numeric_limits<int64_t>::max();
    result_.buckets.push_back({.from = options_.edges[i], .to = end});
  }
  LV_CHECK(options_.period >= 0, "[read] the period must not be negative; got {}", options_.period);
  for (int64_t from = 0; from < options_.period; from = std::max(kLeastOffsets, 2 * from))
    result_.offsets.push_back({.from = from, .to = std::min(options_.period, std::max(kLeastOffsets, 2 * from))});
}

bool Reader::read(std::span<const Id> ids) {
  if (!result_.is_interrupted) cut_.add(ids);
  return !result_.is_interrupted;
}

void Reader::take(const Segment& segment) {
  if (result_.is_interrupted) return;
  const double start = now();
  const Tensor before = session_.hidden;                              // [1,E]: predicts the segment's first token
  const Tensor hidden = advance(model_, method_, segment, session_);  // [T,E]
  const int64_t T = hidden.size(0), skip = before.defined() ? 0 : 1;
  const Tensor targets = segment.ids[0].narrow(0, skip, T - skip);  // [T] or [T-1]
  const Tensor earlier = hidden.narrow(0, 0, T - 1);                // [T-1,E]
  const double sum = score(skip == 1 ? earlier : at::cat({before, earlier}), targets, segment.first + skip);
  result_.tokens += T;
  const double seconds = now() - start;
  result_.seconds += seconds;
  for (auto& bucket : result_.buckets)
    if (segment.first >= bucket.from && segment.first < bucket.to) bucket.seconds += seconds;
  const double mean = T > skip ? sum / static_cast<double>(T - skip) : 0;
  if (options_.progress && !options_.progress(result_.tokens, mean)) result_.is_interrupted = true;
}

double Reader::score(const Tensor& hidden, const Tensor& targets, int64_t first) {
  double total = 0;
  auto bucket = result_.buckets.begin();
  const int64_t most = hidden.is_cpu() ? kLogitRows : kDeviceLogitRows;
  for (int64_t row = 0; row < targets.size(0); row += most) {
    const int64_t count = std::min(most, targets.size(0) - row);
    const Tensor losses =
        kernels::nll(model_.logits(hidden.narrow(0, row, count), logits_), targets.narrow(0, row, count));  // [rows]
    const auto* loss = losses.data_ptr<double>();
    for (int64_t t = 0; t < count; ++t) {
      const int64_t position = first + row + t;
      while (bucket != result_.buckets.end() && position >= bucket->to) ++bucket;
      total += loss[t];
      if (!result_.offsets.empty()) {
        const auto offset = position % options_.period / kLeastOffsets;
        auto& part = result_.offsets[static_cast<size_t>(std::bit_width(static_cast<uint64_t>(offset)))];
        part.tokens += 1, part.nll += loss[t];
      }
      if (bucket == result_.buckets.end() || position < bucket->from) continue;
      bucket->tokens += 1;
      bucket->nll += loss[t];  // a sum until finish()
    }
  }
  sum_ += total;
  result_.predicted += targets.size(0);
  return total;
}

ReadResult Reader::finish() {
  if (!result_.is_interrupted) cut_.finish();
  ReadResult out = result_;
  std::erase_if(out.buckets, [](const LossBucket& bucket) { return bucket.tokens == 0; });
  for (auto& bucket : out.buckets) {
    bucket.nll /= static_cast<double>(bucket.tokens);
    bucket.to = std::min(bucket.to, session_.state.seen());
  }
  std::erase_if(out.offsets, [](const LossBucket& part) { return part.tokens == 0; });
  for (auto& part : out.offsets) part.nll /= static_cast<double>(part.tokens);
  out.nll = out.predicted > 0 ? sum_ / static_cast<double>(out.predicted) : 0;
  return out;
}

}  // namespace longview
