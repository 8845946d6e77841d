// Sampling: penalise, sharpen, cut the tail, draw.
#include "longview/infer/sample.h"

#include <algorithm>
#include <set>

namespace longview {
namespace {

struct Candidate {
  Id id;
  double weight;  // a logit, later a probability
};

bool is_likelier(const Candidate& a, const Candidate& b) { return a.weight != b.weight ? a.weight > b.weight : a.id < b.id; }

void penalise(std::vector<Candidate>& all, std::span<const Id> recent, const SampleOptions& options) {
  if (options.repeat_penalty == 1) return;
  const auto count = std::min<size_t>(recent.size(), static_cast<size_t>(options.repeat_last));
  const std::set<Id> repeated(recent.end() - static_cast<int64_t>(count), recent.end());
  for (const Id id : repeated) {
    double& logit = all[static_cast<size_t>(id)].weight;
    logit = logit > 0 ? logit / options.repeat_penalty : logit * options.repeat_penalty;
  }
}

void to_probabilities(std::vector<Candidate>& sorted, double temperature) {
  const double most = sorted.front().weight;
  double sum = 0;
  for (auto& candidate : sorted) sum += candidate.weight = std::exp((candidate.weight - most) / temperature);
  for (auto& candidate : sorted) candidate.weight /= sum;
}

void cut_tail(std::vector<Candidate>& sorted, const SampleOptions& options) {
  double sum = 0;
  size_t keep = 0;
  while (keep < sorted.size() && (keep == 0 || (sum < options.top_p && sorted[keep].weight >= options.min_p * sorted[0].weight)))
    sum += sorted[keep++].weight;
  sorted.resize(keep);
}

}  // namespace

void check(const SampleOptions& options) {
  LV_CHECK(options.temperature >= 0, "[sample] temperature must not be negative; got {}", options.temperature);
  LV_CHECK(options.top_k >= 0, "[sample] top-k must not be negative; got {}", options.top_k);
  LV_CHECK(options.top_p > 0 && options.top_p <= 1, "[sample] top-p must be above 0 and at most 1; got {}", options.top_p);
  LV_CHECK(options.min_p >= 0 && options.min_p <= 1, "[sample] min-p must be between 0 and 1; got {}", options.min_p);
  LV_CHECK(options.repeat_penalty > 0, "[sample] repeat-penalty must be above 0; got {}", options.repeat_penalty);
  LV_CHECK(options.repeat_last >= 0 && options.repeat_last <= 256, "[sample] repeat-last-n must be between 0 and 256; got {}",
           options.repeat_last);
}

Id Sampler::next(const Tensor& logits, std::span<const Id> recent) {
  Shapes("sample")("logits", logits, "V");
  const Tensor values = logits.to(at::kCPU, at::kFloat).contiguous();  // [V]
  std::vector<Candidate> all(static_cast<size_t>(values.numel()));
  for (size_t v = 0; v < all.size(); ++v) all[v] = {static_cast<Id>(v), static_cast<double>(values.data_ptr<float>()[v])};
  penalise(all, recent, options_);
  if (options_.temperature == 0) return std::min_element(all.begin(), all.end(), is_likelier)->id;
  const size_t keep = options_.top_k > 0 ? std::min<size_t>(all.size(), static_cast<size_t>(options_.top_k)) : all.size();
  std::partial_sort(all.begin(), all.begin() + static_cast<int64_t>(keep), all.end(), is_likelier);
  all.resize(keep);
  to_probabilities(all, options_.temperature);
  cut_tail(all, options_);
  double sum = 0;
  for (const auto& candidate : all) sum += candidate.weight;
  double draw = static_cast<double>(random_() >> 11) * 0x1p-53 * sum;
  for (const auto& candidate : all)
    if ((draw -= candidate.weight) < 0) return candidate.id;
  return all.back().id;
}

}  // namespace longview
