// What loss by position says about each method, judged from the numbers and put into words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "longview/report/curve.h"

namespace longview {

/// Nats a token. Less than kLevel behind is level with the best; a rise up to kFlat is flat (texts vary by more); from
/// kCollapse on a method has collapsed: the right token gets less than 1/e of the probability that the best method, or the
/// method itself inside its trained length, gives it.
inline constexpr double kLevel = 0.05, kFlat = 0.1, kCollapse = 1.0;
/// A bucket with fewer tokens says too little to be judged alone.
inline constexpr int64_t kJudgedTokens = 256;

/// How a method reads past the trained length.
///   unknown    the run has no bucket there (or none inside to compare with), or the trained length is not known
///   holds      the best, or level with it, as long as the best has not collapsed itself; alone: the loss has not risen
///   rises      alone, and the loss is higher than inside the trained length: nobody can tell the text from the method
///   behind     worse than the best, but no collapse
///   collapses  worse than the best by kCollapse or more in some bucket, and by half of it more than inside; the best, or
///              alone: risen by kCollapse over its own loss inside
///   unfit      worse than the best by kCollapse or more inside the trained length already
enum class Fate { unknown, holds, rises, behind, collapses, unfit };

struct Verdict {
  Fate fate = Fate::unknown;
  std::optional<double> inside, past;  // mean loss before and after the trained length
  double rise = 0;                     // past - inside, 0 where one is missing
  double behind = 0;                   // mean loss past the trained length minus the best method's, over the same buckets
  double inside_behind = 0;            // the same inside the trained length
  std::optional<LossBucket> worst;     // the bucket past the trained length where it is furthest behind (the best: highest)
  double worst_behind = 0;             // there: more than the best method has (the best: more than its own mean inside)
  bool best = false;                   // the lowest loss past the trained length (inside it where nothing is past)
};

/// One verdict a run, in their order. A bucket across the trained length counts on neither side.
std::vector<Verdict> judge(const std::vector<ReadRun>& runs, int64_t trained_length);

/// One or two words for a table or a label: "holds", "0.15 behind", "collapses"; "" for unknown.
std::string verdict_words(const Verdict& verdict);

/// The result in paragraphs for a newcomer. The first says what happened in one sentence; the second
/// says what loss is; the rest gives the numbers.
std::vector<std::string> read_lead(const std::vector<ReadRun>& runs, int64_t trained_length);

}  // namespace longview
