// What a training writes while it runs: log.jsonl, a line a record, and report.html, the same as curves.
#pragma once

#include <fstream>

#include "longview/report/training.h"
#include "tools/program.h"

namespace longview::tools {

class TrainLog {
 public:
  /// In the folder; going on keeps the lines that are there.
  TrainLog(const std::filesystem::path& folder, bool is_going_on, int64_t steps, Facts facts);
  /// Throws when it cannot be written. The page follows a few seconds later at most.
  void add(const Json& record);
  void end(TrainingReport::State state, const std::string& words = "");

 private:
  void write_page();

  std::filesystem::path folder_;
  TrainingReport report_;
  std::ofstream lines_;
  std::chrono::steady_clock::time_point due_{};  // when the page is written again
};

}  // namespace longview::tools
