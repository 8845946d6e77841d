// Speed, accuracies, validation, time left.
#include "longview/train/measure.h"

#include <algorithm>

namespace longview {

void Since::add(const StepResult& step, const TokenCost& cost) {
  const auto sum = [](Tensor& to, const Tensor& x) { to = to.defined() && x.defined() ? to + x : x.defined() ? x : to; };
  sum(loss_, step.loss), sum(right_, step.right), sum(scored_, step.scored);
  ++steps_, tokens_ += step.tokens;
  operations_ += cost.layers * static_cast<double>(step.tokens) + cost.head * static_cast<double>(step.targets);
}

void Since::pause(const std::function<void()>& work) {
  const auto begin = Clock::now();
  work();
  paused_ += std::chrono::duration<double>(Clock::now() - begin).count();
}

void Since::put(Record& record, const std::vector<std::string>& kinds) {
  record.loss = loss_.item<double>() / static_cast<double>(steps_);
  if (scored_.defined()) record.accuracies = shares(right_, scored_, kinds);
  const double passed = std::chrono::duration<double>(Clock::now() - begin_).count(), trained = std::max(passed - paused_, 1e-9);
  record.seconds += passed;
  record.tokens_per_second = static_cast<double>(tokens_) / trained;
  record.operations_per_second = operations_ / trained;
  *this = {};
}

std::vector<std::pair<std::string, double>> shares(const Tensor& right, const Tensor& scored,
                                                   const std::vector<std::string>& kinds) {
  std::vector<std::pair<std::string, double>> out;
  const Tensor counts = at::stack({right, scored}).to(at::kCPU, at::kDouble);  // [2,K]
  for (size_t k = 0; k < kinds.size() && static_cast<int64_t>(k) < counts.size(1); ++k) {
    const auto at = static_cast<int64_t>(k);
    if (const double n = counts[1][at].item<double>(); n > 0) out.emplace_back(kinds[k], counts[0][at].item<double>() / n);
  }
  return out;
}

Validation validated(const Trainer& trainer, Source& source, const BatchShape& shape, int64_t batches) {
  constexpr int64_t kBuckets = 8, kKinds = 16;
  const Json begin = source.state();
  Tensor nll = at::zeros({kBuckets}, at::kDouble), targets = at::zeros({kBuckets}, at::kDouble);  // [8]
  Tensor right = at::zeros({kKinds}, at::kDouble), scored = at::zeros({kKinds}, at::kDouble);     // [K]
  double loss = 0;
  for (int64_t n = 0; n < batches; ++n) {
    const TargetScores scores = trainer.score(source.next(shape));
    loss += scores.loss.item<double>() / static_cast<double>(batches);
    const Tensor at = (scores.place * kBuckets).floor_divide(shape.length);  // [n]
    const Tensor own = scores.nll.to(at::kCPU, at::kDouble);                 // [n]
    nll += at::bincount(at, own, kBuckets);                                  // [8]
    targets += at::bincount(at, {}, kBuckets);                               // [8]
    if (!scores.kind.defined()) continue;
    const Tensor kind = scores.kind.cpu();                                        // [n]
    right += at::bincount(kind, scores.right.to(at::kCPU, at::kDouble), kKinds);  // [K]
    scored += at::bincount(kind, {}, kKinds);                                     // [K]
  }
  source.restore(begin);
  Validation out{loss, {}, shares(right, scored, source.kinds())};
  for (int64_t b = 0; b < kBuckets; ++b)
    if (const auto count = targets[b].item<double>(); count > 0)
      out.positions.push_back({(b * shape.length + kBuckets - 1) / kBuckets, ((b + 1) * shape.length + kBuckets - 1) / kBuckets,
                               static_cast<int64_t>(count), nll[b].item<double>() / count});
  return out;
}

double operations_left(const Trainer& trainer, const Curriculum& curriculum, int64_t tokens, const StepResult& last,
                       int64_t steps) {
  const double share = static_cast<double>(last.targets) / static_cast<double>(std::max<int64_t>(last.tokens, 1));
  double left = 0;
  const auto& stages = curriculum.stages();
  int64_t at = trainer.done();
  for (size_t s = curriculum.stage(); s < stages.size() && at < steps; ++s) {
    const auto most = static_cast<int64_t>(std::ceil(stages[s].most * static_cast<double>(steps)));
    const int64_t end = s + 1 == stages.size() ? steps : std::clamp(most, at, steps);
    const TokenCost cost = token_cost(trainer.parameters(), trainer.model().config(), trainer.method(), stages[s].length);
    const int64_t rows = std::max<int64_t>(1, tokens / stages[s].length);
    left += static_cast<double>((end - at) * rows * stages[s].length) * (cost.layers + share * cost.head);
    at = end;
  }
  return left;
}

}  // namespace longview
