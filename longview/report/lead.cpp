// The result of `longview read` in words for a newcomer.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "longview/base/names.h"
#include "longview/base/text_format.h"
#include "longview/report/verdict.h"

namespace longview {
namespace {

using Runs = std::vector<ReadRun>;
using Verdicts = std::vector<Verdict>;

constexpr const char* kLossIs =
    "Loss is the model's surprise at each next token of the text, in nats: lower is better, and every nat more means that it "
    "had given the right token 2.7 times less probability.";

std::vector<std::string> labels(const Runs& runs, const Verdicts& verdicts, Fate fate) {
  std::vector<std::string> out;
  for (size_t i = 0; i < runs.size(); ++i)
    if (verdicts[i].fate == fate) out.push_back(runs[i].label);
  return out;
}

std::string verb(const std::vector<std::string>& who, const char* one, const char* many) {
  return listed(who) + " " + (who.size() == 1 ? one : many);
}

std::string nats(double value) { return std::isfinite(value) ? fmt::format("{:.2f}", value) : "infinite"; }

std::string place(const LossBucket& bucket) {
  return fmt::format("tokens {} to {}", with_commas(bucket.from), with_commas(bucket.to));
}

// "23 times less probability" for a difference in nats.
std::string odds(double behind) {
  const double times = std::exp(std::min(behind, 700.0));
  if (times > 1e6) return "more than a million times less probability";
  return fmt::format("{} times less probability", with_commas(times, times < 9.95 ? 1 : 0));
}

size_t best_of(const Verdicts& verdicts) {
  for (size_t i = 0; i < verdicts.size(); ++i)
    if (verdicts[i].best) return i;
  return 0;
}

std::string trained_words(int64_t trained) {
  return fmt::format("Past the {} tokens the model was trained for", with_commas(trained));
}

// ---- nothing lies past the trained length

std::string why_nothing_past(const Runs& runs, int64_t trained) {
  int64_t longest = 0;
  for (const auto& run : runs) {
    longest = std::max(longest, run.tokens);
    for (const auto& bucket : run.buckets) longest = std::max(longest, bucket.tokens > 0 ? bucket.to : 0);
  }
  if (trained <= 0) return "The length this model was trained for is not known, so nothing here says what happens past it.";
  if (longest <= trained)
    return fmt::format(
        "This text stays inside the model's trained length ({} of {} tokens), so nothing here shows what happens past it.",
        with_commas(longest), with_commas(trained));
  return fmt::format(
      "No bucket lies wholly past the trained length of {} tokens, so nothing here shows what happens past it; read more of the "
      "text, or with smaller buckets.",
      with_commas(trained));
}

std::string inside_words(const Runs& runs, const Verdicts& verdicts) {
  const size_t best = best_of(verdicts);
  if (!verdicts[best].inside) return "No token was scored.";
  const std::string loss = nats(*verdicts[best].inside);
  if (runs.size() == 1) return fmt::format("The loss of {} is {} nats a token.", runs[0].label, loss);
  std::vector<std::string> level, behind;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!verdicts[i].inside) continue;
    if (verdicts[i].behind < kLevel) level.push_back(runs[i].label);
    else behind.push_back(fmt::format("{} by {}", runs[i].label, nats(verdicts[i].behind)));
  }
  std::string out =
      fmt::format("The lowest loss is {} nats a token, {} {}", loss, level.size() > 1 ? "shared by" : "by", listed(level));
  if (!behind.empty()) out += fmt::format("; behind: {}", listed(behind));
  return out + ".";
}

// ---- one method

std::vector<std::string> alone(const ReadRun& run, const Verdict& verdict, int64_t trained) {
  const std::string start = trained_words(trained);
  const std::string from_to = verdict.inside ? fmt::format("{} before, {} after", nats(*verdict.inside), nats(*verdict.past)) : "";
  switch (verdict.fate) {
    case Fate::holds: return {fmt::format("{}, the loss of {} stays ({:+.2f} nats: {}).", start, run.label, verdict.rise, from_to)};
    case Fate::rises:
      return {
          fmt::format("{}, the loss of {} is {} nats higher ({}).", start, run.label, nats(verdict.rise), from_to),
          "One method alone cannot tell a text that gets harder from a method that gets worse; a second one on the same text can."};
    case Fate::collapses: {
      std::string more = fmt::format("Worst are {}, with a loss of {}", place(*verdict.worst), nats(verdict.worst->nll));
      if (verdict.inside && std::isfinite(verdict.worst_behind) && verdict.worst_behind > 0)
        more += fmt::format(": there the right token gets {} than inside the trained length", odds(verdict.worst_behind));
      return {fmt::format("{}, {} collapses{}.", start, run.label, from_to.empty() ? "" : fmt::format(" (loss {})", from_to)),
              more + "."};
    }
    default:
      return {fmt::format("{}, the loss of {} is {} nats a token; there is no bucket inside it to compare with.", start, run.label,
                          nats(*verdict.past))};
  }
}

// ---- several methods

std::string first_sentence(const Runs& runs, const Verdicts& verdicts, int64_t trained) {
  const auto hold = labels(runs, verdicts, Fate::holds), behind = labels(runs, verdicts, Fate::behind),
             fall = labels(runs, verdicts, Fate::collapses), unfit = labels(runs, verdicts, Fate::unfit);
  std::vector<std::string> parts;
  if (!hold.empty()) parts.push_back(verb(hold, "holds up", "hold up"));
  if (!behind.empty()) parts.push_back(verb(behind, "falls behind", "fall behind"));
  if (!fall.empty()) parts.push_back(verb(fall, "collapses", "collapse"));
  if (!unfit.empty()) parts.push_back(verb(unfit, "does not fit this model at any length", "do not fit this model at any length"));
  std::string out = trained_words(trained);
  for (size_t i = 0; i < parts.size(); ++i) out += (i == 0 ? ", " : i + 1 == parts.size() ? "; and " : "; ") + parts[i];
  return out + ".";
}

std::string collapse_words(const Runs& runs, const Verdicts& verdicts, size_t best) {
  size_t worst = best;
  for (size_t i = 0; i < runs.size(); ++i)
    if (verdicts[i].fate == Fate::collapses && verdicts[i].worst &&
        (worst == best || verdicts[i].worst_behind > verdicts[worst].worst_behind))
      worst = i;
  if (worst == best) return "";
  const Verdict& verdict = verdicts[worst];
  const std::string where = place(*verdict.worst);
  if (!std::isfinite(verdict.worst_behind))
    return fmt::format("At {} the loss of {} is not a finite number.", where, runs[worst].label);
  return fmt::format("At {} the loss of {} is {}, against {} for {}: it gives the right token {}.", where, runs[worst].label,
                     nats(verdict.worst->nll), nats(verdict.worst->nll - verdict.worst_behind), runs[best].label,
                     odds(verdict.worst_behind));
}

std::string behind_words(const Runs& runs, const Verdicts& verdicts, size_t best) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < runs.size(); ++i)
    if (i != best && verdicts[i].fate == Fate::behind)
      parts.push_back(fmt::format("{} {}", runs[i].label, nats(verdicts[i].behind)) +
                      (verdicts[i].inside ? fmt::format(" ({:.2f})", verdicts[i].inside_behind) : ""));
  if (parts.empty()) return "";
  return fmt::format("Nats behind {} on the same tokens, past the trained length{}: {}.", runs[best].label,
                     verdicts[best].inside ? " (and inside it)" : "", listed(parts));
}

std::string rise_words(const Runs& runs, const Verdict& best, size_t at) {
  const std::string name = runs[at].label;
  if (!best.inside || best.fate == Fate::unknown)
    return fmt::format("The lowest loss there is {} nats, {}.", nats(*best.past), name);
  if (best.fate == Fate::collapses)
    return fmt::format("Even the best, {}, goes from a loss of {} inside the trained length to {} past it.", name,
                       nats(*best.inside), nats(*best.past));
  if (best.rise > kFlat)
    return fmt::format(
        "The best, {}, goes from a loss of {} to {}. Part of that, or all, may be the text itself: it is not equally hard "
        "everywhere, "
        "so "
        "compare the methods with each other, on the same tokens.",
        name, nats(*best.inside), nats(*best.past));
  return fmt::format("The loss of the best, {}, stays: {} inside the trained length, {} past it.", name, nats(*best.inside),
                     nats(*best.past));
}

}  // namespace

std::vector<std::string> read_lead(const Runs& runs, int64_t trained_length) {
  if (runs.empty()) return {};
  const Verdicts verdicts = judge(runs, trained_length);
  const size_t best = best_of(verdicts);
  std::vector<std::string> out;
  if (!verdicts[best].past) {
    out = {inside_words(runs, verdicts), why_nothing_past(runs, trained_length)};
  } else if (runs.size() == 1) {
    out = alone(runs[0], verdicts[0], trained_length);
  } else {
    out.push_back(first_sentence(runs, verdicts, trained_length));
    const std::string fall = collapse_words(runs, verdicts, best), behind = behind_words(runs, verdicts, best);
    if (!fall.empty() || !behind.empty()) out.push_back(fall + (fall.empty() || behind.empty() ? "" : " ") + behind);
    out.push_back(rise_words(runs, verdicts[best], best));
    const auto silent = labels(runs, verdicts, Fate::unknown);
    if (!silent.empty() && verdicts[best].fate != Fate::unknown)
      out.push_back(fmt::format("{} read far enough to be compared there.", verb(silent, "was not", "were not")));
  }
  out.insert(out.begin() + 1, kLossIs);
  return out;
}

}  // namespace longview
