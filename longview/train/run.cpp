// The loop of a training.
#include "longview/train/run.h"

#include <chrono>

#include "longview/train/saved.h"

namespace longview {
namespace {

using Clock = std::chrono::steady_clock;

/// What was measured since the last record; tensors stay on the device until it is made.
struct Since {
  Tensor loss, right, scored;
  int64_t steps = 0, tokens = 0;
  Clock::time_point begin = Clock::now();

  void add(const StepResult& step) {
    const auto sum = [](Tensor& to, const Tensor& x) { to = to.defined() && x.defined() ? to + x : x.defined() ? x : to; };
    sum(loss, step.loss), sum(right, step.right), sum(scored, step.scored);
    ++steps, tokens += step.tokens;
  }
};

int64_t rows(const RunConfig& config, int64_t length) { return std::max<int64_t>(1, config.tokens / length); }

std::vector<double> gates_of(const Transformer& model) {
  std::vector<double> out;
  for (int64_t layer = 0; layer < model.config().layers; ++layer)
    if (const Tensor gate = model.memory_gate(layer); gate.defined()) out.push_back(gate.mean().item<double>());
  return out;
}

class Run {
 public:
  Run(Trainer& trainer, Source& source, Curriculum curriculum, const RunConfig& config, int64_t steps,
      const std::filesystem::path& out, const RunHooks& hooks)
      : trainer_(trainer),
        source_(source),
        curriculum_(std::move(curriculum)),
        c(config),
        steps_(steps),
        out_(out),
        hooks_(hooks) {}

  void take_up(const Json& rest) {
    if (rest.is_null()) return;
    curriculum_.restore(rest.at("curriculum"));
    source_.restore(rest.at("data"));
    tokens_ = rest.at("tokens").get<int64_t>(), seconds_ = rest.at("seconds").get<double>();
    if (rest.contains("best")) best_ = rest["best"].get<double>();
  }

  RunOutcome run() {
    while (trainer_.done() < steps_ && !trainer_.ranks().any(hooks_.stop())) one_step();
    if (saved_step_ != trainer_.done()) save();
    return {trainer_.done(), trainer_.done() == steps_, saved_training_path(out_, saved_step_)};
  }

 private:
  /// Every so-many-th step after the first stage is a short one: which, follows from its number alone.
  bool is_short(int64_t step) const {
    return curriculum_.stage() > 0 && c.short_share > 0 &&
           std::floor(static_cast<double>(step) * c.short_share) != std::floor(static_cast<double>(step - 1) * c.short_share);
  }

  void one_step() {
    const StageConfig& stage = curriculum_.now();
    const bool is_short_one = is_short(trainer_.done() + 1);
    const int64_t length = is_short_one ? curriculum_.first().length : stage.length;
    if (stage.segment > 0 && stage.segment != trainer_.segment()) trainer_.set_segment(stage.segment);
    const BatchShape shape{rows(c, length), length, trainer_.segment(), is_short_one ? 1.0 : static_cast<double>(stage.repeats)};
    const StepResult result = trainer_.step([&] { return source_.next(shape); });
    since_.add(result);
    tokens_ += result.tokens;
    last_ = result;
    const int64_t done = trainer_.done();
    if (done % c.log_every == 0 || done == steps_) record();
    if (!is_short_one) steer(result);
    if (c.validate_every > 0 && hooks_.validation && (done % c.validate_every == 0 || done == steps_)) validate();
    if (c.save_every > 0 && done % c.save_every == 0) save();
  }

  /// The stage goes on by what was answered; waiting for the device only where a stage may end by it.
  void steer(const StepResult& result) {
    double right = 0, scored = 0;
    if (curriculum_.now().until > 0 && result.scored.defined()) {
      const Tensor counts = at::stack({result.right, result.scored}).cpu();  // [2,K]
      const auto kinds = source_.kinds();
      for (size_t k = 0; k < kinds.size() && static_cast<int64_t>(k) < counts.size(1); ++k) {
        const bool counts_here =
            c.steer.empty() ? source_.loss(k) != "text" : (";" + c.steer + ";").find(";" + kinds[k] + ";") != std::string::npos;
        if (!counts_here) continue;
        right += counts[0][static_cast<int64_t>(k)].item<double>(), scored += counts[1][static_cast<int64_t>(k)].item<double>();
      }
    }
    if (!curriculum_.advance(right, scored, trainer_.done(), steps_)) return;
    hooks_.say(fmt::format("step {}: texts of {} tokens, repeats up to {}", trainer_.done(), curriculum_.now().length,
                           curriculum_.now().repeats));
  }

  void check_finite(double loss, double norm) {
    if (std::isfinite(loss) && std::isfinite(norm)) return;
    const std::string bad = trainer_.parameters().first_bad_gradient();
    fail("[train] step {}: the {} is not finite{}; the last good checkpoint is {}", trainer_.done(),
         std::isfinite(loss) ? "gradient" : "loss", bad.empty() ? "" : " (first in the gradient of " + bad + ")",
         saved_step_ > 0 ? saved_training_path(out_, saved_step_).string() : "not there yet");
  }

  void record() {
    Record out;
    out.step = trainer_.done(), out.stage = static_cast<int64_t>(curriculum_.stage()), out.tokens = tokens_;
    out.loss = since_.loss.item<double>() / static_cast<double>(since_.steps);
    out.gradient_norm = last_.gradient_norm.item<double>(), out.rate = last_.rate;
    check_finite(out.loss, out.gradient_norm);
    const double passed = std::chrono::duration<double>(Clock::now() - since_.begin).count();
    seconds_ += passed, out.seconds = seconds_;
    out.tokens_per_second = static_cast<double>(since_.tokens) / std::max(passed, 1e-9);
    if (since_.scored.defined()) {
      const Tensor counts = at::stack({since_.right, since_.scored}).cpu();  // [2,K]
      const auto kinds = source_.kinds();
      for (size_t k = 0; k < kinds.size() && static_cast<int64_t>(k) < counts.size(1); ++k)
        if (const double n = counts[1][static_cast<int64_t>(k)].item<double>(); n > 0)
          out.accuracies.emplace_back(kinds[k], counts[0][static_cast<int64_t>(k)].item<double>() / n);
    }
    out.gates = gates_of(trainer_.model());
    out.validation = std::exchange(validation_, std::nullopt);
    hooks_.record(out);
    since_ = {};
  }

  void validate() {
    double sum = 0;
    for (int64_t n = 0; n < c.validation_batches; ++n)
      sum += trainer_.evaluate(hooks_.validation(n, curriculum_.now().length)).item<double>();
    validation_ = sum / static_cast<double>(c.validation_batches);
    hooks_.say(fmt::format("step {}: validation {:.4f}", trainer_.done(), *validation_));
    if (best_ && *validation_ >= *best_) return;
    best_ = validation_;
    best_step_ = trainer_.done();
    save();
  }

  void save() {
    check_finite(last_.loss.defined() ? last_.loss.item<double>() : 0,
                 last_.gradient_norm.defined() ? last_.gradient_norm.item<double>() : 0);
    Json rest = {{"tokens", tokens_}, {"seconds", seconds_}, {"curriculum", curriculum_.state()}, {"data", source_.state()}};
    if (best_) rest["best"] = *best_;
    if (saved_step_ != trainer_.done()) save_training(saved_training_path(out_, trainer_.done()), trainer_, rest);
    saved_step_ = trainer_.done();
    if (trainer_.ranks().rank() > 0) return;
    auto all = saved_trainings(out_);
    if (best_step_ > 0) all.erase(best_step_);
    while (static_cast<int64_t>(all.size()) > std::max<int64_t>(1, c.keep)) {
      std::filesystem::remove_all(all.begin()->second);
      all.erase(all.begin());
    }
  }

  Trainer& trainer_;
  Source& source_;
  Curriculum curriculum_;
  const RunConfig& c;
  int64_t steps_;
  std::filesystem::path out_;
  const RunHooks& hooks_;
  Since since_;
  StepResult last_;
  int64_t tokens_ = 0, saved_step_ = 0, best_step_ = 0;
  double seconds_ = 0;
  std::optional<double> best_, validation_;
};

}  // namespace

Json Record::json() const {
  Json out = {{"step", step},     {"stage", stage},
              {"tokens", tokens}, {"seconds", seconds},
              {"loss", loss},     {"gradient_norm", gradient_norm},
              {"rate", rate},     {"tokens_per_second", tokens_per_second}};
  for (const auto& [kind, share] : accuracies) out["accuracy"][kind] = share;
  if (!gates.empty()) out["gates"] = gates;
  if (validation) out["validation"] = *validation;
  return out;
}

RunOutcome run_training(Trainer& trainer, Source& source, Curriculum curriculum, const RunConfig& config, int64_t steps,
                        const std::filesystem::path& out, const Json& rest, const RunHooks& hooks) {
  LV_CHECK(config.tokens >= 1 && config.log_every >= 1, "[run] tokens and log_every must be at least 1; got {} and {}",
           config.tokens, config.log_every);
  for (const auto& stage : curriculum.stages())
    trainer.check_shape(rows(config, stage.length), stage.length, stage.segment > 0 ? stage.segment : trainer.segment());
  Run run(trainer, source, std::move(curriculum), config, steps, out, hooks);
  run.take_up(rest);
  return run.run();
}

}  // namespace longview
