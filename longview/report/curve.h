// The report of `longview read`: loss by position for each method, and in words what it shows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "longview/report/page.h"

namespace longview {

/// Predicted tokens at positions [from, to) and their mean loss in nats. tokens may be less than to - from.
struct LossBucket {
  int64_t from = 0, to = 0, tokens = 0;
  double nll = 0;      // mean, nats a predicted token
  double seconds = 0;  // spent on the segments that begin in it
};

/// One method's reading of the text.
struct ReadRun {
  std::string label;
  std::vector<LossBucket> buckets, offsets{};  // by position; by offset in a period, where one was asked for
  int64_t tokens = 0;
  double seconds = 0, tokens_per_second = 0;
  int64_t state_bytes = 0, rss_peak_bytes = 0;
  std::string note;  // one sentence: what of the text the method remembers
};

/// What the page is about. facts: model, file, method, command line, commit, machine, date, in the order to show.
struct ReadReport {
  std::string text_name;  // "bible.txt"
  std::string model_name;
  int64_t trained_length = 0;  // tokens; 0 when not known
  std::vector<Fact> facts;
};

/// The page of `longview read`. Throws when there are no runs.
Page read_report(const std::vector<ReadRun>& runs, const ReadReport& report);

/// Loss by position as steps, the trained length marked. Of very many buckets, neighbours are drawn as one.
Plot loss_plot(const std::vector<ReadRun>& runs, int64_t trained_length);

}  // namespace longview
