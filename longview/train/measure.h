// What is measured between two records of a training, and on texts that are not trained on.
#pragma once

#include <chrono>

#include "longview/train/cost.h"
#include "longview/train/run.h"

namespace longview {

/// Since the last record; tensors stay on the device until it is made.
class Since {
 public:
  void add(const StepResult& step, const TokenCost& cost);
  /// Time that is not training: a validation, a checkpoint.
  void pause(const std::function<void()>& work);
  /// Mean loss, speed and accuracies into the record, whose seconds grow by what has passed; begins anew.
  void put(Record& record, const std::vector<std::string>& kinds);

 private:
  using Clock = std::chrono::steady_clock;
  Tensor loss_, right_, scored_;
  int64_t steps_ = 0, tokens_ = 0;
  double operations_ = 0, paused_ = 0;
  Clock::time_point begin_ = Clock::now();
};

/// Shares of right answers by kind, of kinds that were asked for; counts are [K].
std::vector<std::pair<std::string, double>> shares(const Tensor& right, const Tensor& scored,
                                                   const std::vector<std::string>& kinds);

/// The first batches of a source; it stands at its beginning afterwards, so that they are the same every time.
Validation validated(const Trainer& trainer, Source& source, const BatchShape& shape, int64_t batches);

/// Operations from here to the last step, stage by stage: each lasts as long as it may, and as many tokens are predicted as in the last step.
double operations_left(const Trainer& trainer, const Curriculum& curriculum, int64_t tokens, const StepResult& last, int64_t steps);

}  // namespace longview
