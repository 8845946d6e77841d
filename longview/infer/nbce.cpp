// The step as its author's program does it; natural logarithms, f64.
//   1. l = log softmax of the logits, for every context and for the prompt alone (row 0)
//   2. of every row only the likeliest tokens that together have top_p stay, not normalised anew; the rest is kNever
//   3. H_k = -sum_t exp(l_k) l_k        4. from the second token on H_before -= eta        5. k = argmin H
//   6. (1 + beta) l_k - beta l_0, and l_k alone where row 0 has dropped the token          7. sampled at temperature tau
#include "longview/infer/nbce.h"

#include <algorithm>

namespace longview {
namespace {

constexpr double kNever = -1e30;   // finite, so that differences stay numbers
constexpr double kDropped = -100;  // what is below counts as dropped
const std::vector<std::string> kPoolings{"entropy", "max", "mean", "sum"};

/// Step 2, in place. Tokens less likely than (1 - p) / V have less than 1 - p together: they need not be sorted.
void cut_tail(double* row, int64_t V, double top_p) {
  if (top_p >= 1) return;
  const double least = std::log((1 - top_p) / static_cast<double>(V));
  std::vector<int64_t> likely;
  for (int64_t v = 0; v < V; ++v)
    if (row[v] >= least) likely.push_back(v);
  std::stable_sort(likely.begin(), likely.end(), [&](int64_t a, int64_t b) { return row[a] > row[b]; });
  double sum = 0;
  std::vector<std::pair<int64_t, double>> kept;
  for (size_t n = 0; n < likely.size() && (n == 0 || sum < top_p); ++n) {
    kept.emplace_back(likely[n], row[likely[n]]);
    sum += std::exp(row[likely[n]]);
  }
  std::fill(row, row + V, kNever);
  for (const auto& [v, l] : kept) row[v] = l;
}

double entropy_of(const double* row, int64_t V) {
  double sum = 0;
  for (int64_t v = 0; v < V; ++v)
    if (row[v] > kDropped) sum -= std::exp(row[v]) * row[v];
  return sum;
}

/// The pool over contexts: l [n,V] -> [V].
Tensor pooled(const Tensor& l, int64_t chosen, const std::string& pooling) {
  if (pooling == "mean") return l.mean(0);
  if (pooling == "max") return l.amax(0);
  if (pooling == "sum") return l.sum(0);
  return l[chosen];
}

}  // namespace

NbceOptions parse_nbce(std::string_view text) {
  Setting setting = text.empty() ? Setting{"entropy", {}} : parse_setting(text);
  const bool is_known = std::find(kPoolings.begin(), kPoolings.end(), setting.name) != kPoolings.end();
  LV_CHECK(is_known, "[nbce] {}", unknown_name("pooling", setting.name, kPoolings));
  NbceOptions defaults;
  defaults.pooling = setting.name;
  LV_CHECK(setting.name != "sum" || !setting.values.contains("beta"),
           "[nbce] sum has no beta: it takes n-1 prompts away; use mean");
  setting.name = "nbce";
  NbceOptions out = with_values(defaults, setting);
  LV_CHECK(out.beta >= -1 && std::isfinite(out.beta), "[nbce] beta must be at least -1; got {}", out.beta);
  LV_CHECK(out.eta >= 0 && std::isfinite(out.eta), "[nbce] eta must not be negative; got {}", out.eta);
  LV_CHECK(out.top_p > 0 && out.top_p <= 1, "[nbce] top_p must be above 0 and at most 1; got {}", out.top_p);
  LV_CHECK(out.tau >= 0 && std::isfinite(out.tau), "[nbce] tau must not be negative; got {}", out.tau);
  return out;
}

Pooled pool(const Tensor& logits, int64_t before, const NbceOptions& options) {
  const int64_t n = logits.size(0) - 1, V = logits.size(1);
  Shapes("nbce")("logits", logits, "K V");
  LV_CHECK(n >= 1, "[nbce] needs at least one context");
  const Tensor l = at::log_softmax(logits.to(at::kCPU, at::kDouble), -1).clamp_min_(kNever).contiguous();  // [n+1,V]
  auto* rows = l.data_ptr<double>();
  at::parallel_for(0, n + 1, 1, [&](int64_t from, int64_t to) {
    for (int64_t k = from; k < to; ++k) cut_tail(rows + k * V, V, options.top_p);
  });
  Pooled out;
  double least = INFINITY;
  for (int64_t k = 0; k < n; ++k) {
    out.entropy.push_back(entropy_of(rows + (k + 1) * V, V));
    const double held = out.entropy.back() - (k == before ? options.eta : 0);
    if (held < least) least = held, out.context = k;
  }
  const double beta = options.pooling == "sum" ? static_cast<double>(n - 1) : options.beta;
  const double times = options.pooling == "sum" ? 1 : 1 + beta;
  const Tensor p = pooled(l.narrow(0, 1, n), out.context, options.pooling);  // [V]
  out.logits = at::where(l[0] > kDropped, times * p - beta * l[0], p);       // [V]
  return out;
}

Contexts::Contexts(const Transformer& model, const Method& method, NbceOptions options, std::vector<Session> sessions)
    : model_(model), method_(method), options_(std::move(options)), sessions_(std::move(sessions)) {
  LV_CHECK(sessions_.size() >= 2, "[nbce] needs at least one context");
}

Tensor Contexts::logits() {
  Pooled out = pool(next_logits(model_, sessions_), choices_.empty() ? -1 : choices_.back().context, options_);
  choices_.push_back({out.context, out.entropy[static_cast<size_t>(out.context)]});
  return out.logits;
}

void Contexts::hear(Id id) { feed(model_, method_, std::vector<Id>(sessions_.size(), id), sessions_); }

}  // namespace longview
