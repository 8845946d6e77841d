// What loss by position says about each method, judged from the numbers.
#include "longview/report/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace longview {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// A loss that is not a number is as bad as a loss can be.
double loss(const LossBucket& bucket) { return std::isfinite(bucket.nll) ? bucket.nll : kInfinite; }

using Buckets = std::vector<LossBucket>;

Buckets chosen(const ReadRun& run, auto&& keep) {
  Buckets out;
  for (const auto& bucket : run.buckets)
    if (bucket.tokens > 0 && keep(bucket)) out.push_back(bucket);
  return out;
}

const LossBucket* same_place(const Buckets& buckets, const LossBucket& bucket) {
  for (const auto& other : buckets)
    if (other.from == bucket.from && other.to == bucket.to) return &other;
  return nullptr;
}

std::optional<double> mean(const Buckets& buckets) {
  double sum = 0, tokens = 0;
  for (const auto& bucket : buckets) {
    sum += loss(bucket) * static_cast<double>(bucket.tokens);
    tokens += static_cast<double>(bucket.tokens);
  }
  return tokens > 0 ? std::optional(sum / tokens) : std::nullopt;
}

// Mean difference of a to b over the buckets both have, weighted with a's tokens; nothing when they share none.
std::optional<double> difference(const Buckets& a, const Buckets& b) {
  double sum = 0, tokens = 0;
  for (const auto& bucket : a)
    if (const LossBucket* other = same_place(b, bucket)) {
      if (loss(bucket) != loss(*other)) sum += (loss(bucket) - loss(*other)) * static_cast<double>(bucket.tokens);
      tokens += static_cast<double>(bucket.tokens);
    }
  return tokens > 0 ? std::optional(sum / tokens) : std::nullopt;
}

// The run with the lowest mean over the buckets that every run with any has; over its own where they share none.
size_t best_run(const std::vector<Buckets>& all) {
  const auto shared = [&](const LossBucket& bucket) {
    return std::all_of(all.begin(), all.end(),
                       [&](const Buckets& run) { return run.empty() || same_place(run, bucket) != nullptr; });
  };
  std::vector<std::optional<double>> means;
  for (const auto& run : all) {
    Buckets common;
    std::copy_if(run.begin(), run.end(), std::back_inserter(common), shared);
    means.push_back(mean(common.empty() ? run : common));
  }
  size_t best = 0;
  for (size_t i = 1; i < means.size(); ++i)
    if (means[i] && (!means[best] || *means[i] < *means[best])) best = i;
  return best;
}

// Buckets with too few tokens are not judged alone, unless there are no others.
Buckets judged(const Buckets& buckets) {
  Buckets out;
  std::copy_if(buckets.begin(), buckets.end(), std::back_inserter(out),
               [](const LossBucket& b) { return b.tokens >= kJudgedTokens; });
  return out.empty() ? buckets : out;
}

void find_worst(Verdict& verdict, const Buckets& past, const Buckets* best) {
  const Buckets alone = judged(past);
  for (const auto& bucket : alone) {
    const LossBucket* other = best != nullptr ? same_place(*best, bucket) : nullptr;
    if (best != nullptr && other == nullptr) continue;
    const double behind = other == nullptr ? loss(bucket) : loss(bucket) == loss(*other) ? 0 : loss(bucket) - loss(*other);
    if (!verdict.worst || behind > verdict.worst_behind) verdict.worst = bucket, verdict.worst_behind = behind;
  }
}

// How a method that no other is measured against fares: against its own loss inside the trained length.
Fate own_fate(const Verdict& verdict, const Buckets& inside) {
  if (!std::isfinite(*verdict.past)) return Fate::collapses;
  if (!verdict.inside) return Fate::unknown;
  double highest = *verdict.inside;
  for (const auto& bucket : judged(inside)) highest = std::max(highest, loss(bucket));
  const bool peak = verdict.worst && loss(*verdict.worst) - highest >= kCollapse;
  if (peak || verdict.rise >= kCollapse) return Fate::collapses;
  return verdict.rise <= kFlat ? Fate::holds : Fate::rises;
}

Fate fate_beside(const Verdict& verdict, Fate of_best) {
  if (verdict.inside_behind >= kCollapse) return Fate::unfit;
  if (of_best == Fate::collapses) return Fate::collapses;  // no better than what collapsed
  if (verdict.worst_behind >= kCollapse && verdict.worst_behind - verdict.inside_behind >= kCollapse / 2) return Fate::collapses;
  return verdict.behind < kLevel ? Fate::holds : Fate::behind;
}

}  // namespace

std::vector<Verdict> judge(const std::vector<ReadRun>& runs, int64_t trained_length) {
  std::vector<Verdict> out(runs.size());
  std::vector<Buckets> inside, past;
  for (const auto& run : runs) {
    const bool known = trained_length > 0;
    inside.push_back(chosen(run, [&](const LossBucket& b) { return !known || b.to <= trained_length; }));
    past.push_back(chosen(run, [&](const LossBucket& b) { return known && b.from >= trained_length; }));
  }
  const bool any_past = std::any_of(past.begin(), past.end(), [](const Buckets& b) { return !b.empty(); });
  const auto& compared = any_past ? past : inside;
  const size_t best = runs.empty() ? 0 : best_run(compared);
  Fate of_best = Fate::unknown;
  const auto fill = [&](size_t i) {
    Verdict& verdict = out[i];
    verdict.best = i == best && !compared[i].empty();
    verdict.inside = mean(inside[i]);
    verdict.past = mean(past[i]);
    if (verdict.inside && verdict.past) verdict.rise = *verdict.past - *verdict.inside;
    verdict.behind = difference(compared[i], compared[best]).value_or(0);
    verdict.inside_behind = difference(inside[i], inside[best]).value_or(0);
    if (!verdict.past) return;
    find_worst(verdict, past[i], i == best ? nullptr : &past[best]);
    if (i == best) {
      verdict.fate = own_fate(verdict, inside[i]);
      // Beside others a common rise is first of all the text: they were given the same tokens.
      if (verdict.fate == Fate::rises && runs.size() > 1) verdict.fate = Fate::holds;
      if (verdict.worst) verdict.worst_behind = verdict.inside ? loss(*verdict.worst) - *verdict.inside : 0;
      of_best = verdict.fate;
    } else {
      verdict.fate = fate_beside(verdict, of_best);
    }
  };
  if (!runs.empty()) fill(best);
  for (size_t i = 0; i < runs.size(); ++i)
    if (i != best) fill(i);
  return out;
}

std::string verdict_words(const Verdict& verdict) {
  switch (verdict.fate) {
    case Fate::unknown: return "";
    case Fate::holds: return "holds";
    case Fate::rises: return fmt::format("rises by {:.2f}", verdict.rise);
    case Fate::behind: return fmt::format("{:.2f} behind", verdict.behind);
    case Fate::collapses: return "collapses";
    case Fate::unfit: return "does not fit";
  }
  return "";
}

}  // namespace longview
