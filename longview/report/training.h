// The page of a training: what to watch while it runs, and how it went, made from the lines of its log.
#pragma once

#include <string>
#include <vector>

#include "longview/base/json.h"
#include "longview/report/page.h"

namespace longview {

struct TrainingReport {
  enum class State { running, finished, stopped, failed };
  std::string name;           // the folder
  std::vector<Json> records;  // lines of log.jsonl (docs/json.md) in the order of their steps
  int64_t steps = 0;          // of the whole training
  State state = State::running;
  std::string words;  // why it stopped or failed; may be empty
  Facts facts;
};

/// Adds a line of a log: what was taken up again from an earlier step takes the place of what was after it.
void add_record(std::vector<Json>& records, Json record);

/// While it runs the page loads itself anew.
Page training_report(const TrainingReport& report);

}  // namespace longview
