// Short texts first, then longer ones: the stages of a training, each left when its tasks are answered well enough.
#pragma once

#include "longview/base/fields.h"
#include "longview/base/json.h"

namespace longview {

struct StageConfig {
  int64_t length = 512;  // tokens a row
  int64_t repeats = 1;   // most often that a segment of filler counts as written (segment replication, ours)
  int64_t segment = 0;   // of the model's memory during the stage; 0: its own
  std::string shares;    // of the rows, by the sources of the mixture, separated by commas; "": as [data] says
  int64_t least = 0;     // steps at least
  double until = 0;      // share of answers right over the last 25 steps, of every kind; 0: by `most` alone
  double most = 1;       // share of the run after which the stage ends anyway
  void fields(auto&& field) {
    field("length", length, "tokens a row");
    field("repeats", repeats, "most often that a segment of filler counts as written");
    field("segment", segment, "segment of the model's memory during the stage; 0: its own");
    field("shares", shares, "of the rows, by the sources of the mixture: [1, 0, 2]; nothing: as [data] source says");
    field("least", least, "steps at least");
    field("until", until,
          "share of answers right over the last 25 steps, of every kind, that ends the stage; 0: it ends by `most` alone");
    field("most", most, "share of the run after which the stage ends anyway");
  }
};

/// Throws on values that make no sense.
void check(const StageConfig& stage);
/// The shares as numbers.
std::vector<double> shares_of(const StageConfig& stage);

/// Answers of one kind in a step.
struct AnswerCount {
  double right = 0, scored = 0;
};

class Curriculum {
 public:
  explicit Curriculum(std::vector<StageConfig> stages);

  const StageConfig& now() const { return stages_.at(stage_); }
  const StageConfig& first() const { return stages_.front(); }
  const std::vector<StageConfig>& stages() const { return stages_; }
  size_t stage() const { return stage_; }
  /// After a step: its answers of the kinds that count, always in the same order. True when a stage begins.
  bool advance(std::vector<AnswerCount> kinds, int64_t done, int64_t steps);
  Json state() const;
  void restore(const Json& state);

 private:
  /// Whether every kind that the last steps had is answered well enough. One kind can hide another: what is rare or hard counts as much.
  bool is_learnt() const;

  std::vector<StageConfig> stages_;
  size_t stage_ = 0;
  int64_t began_ = 0;                                // step
  std::vector<std::vector<AnswerCount>> answers_{};  // of the last steps
};

}  // namespace longview
