// The loop of a training.
#include "longview/train/run.h"

#include "longview/base/device.h"
#include "longview/train/fault.h"
#include "longview/train/measure.h"
#include "longview/train/saved.h"

namespace longview {
namespace {

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
        hooks_(hooks),
        weights_(weights_of(source, config)) {}

  void take_up(const Json& rest) {
    if (rest.is_null()) return;
    curriculum_.restore(rest.at("curriculum"));
    source_.restore(rest.at("data"));
    tokens_ = rest.at("tokens").get<int64_t>(), seconds_ = rest.at("seconds").get<double>();
    saved_step_ = trainer_.done();
    if (!rest.contains("best")) return;
    best_ = rest["best"].get<double>(), best_step_ = rest.value("best_step", int64_t{0});
  }

  /// Throws where the ranks cannot share what is to come.
  void check() const {
    for (const auto& stage : curriculum_.stages()) {
      trainer_.check_shape(rows(c, stage.length), stage.length, stage.segment > 0 ? stage.segment : trainer_.segment());
      const auto shares = static_cast<int64_t>(shares_of(stage).size());
      LV_CHECK(shares == 0 || shares == source_.parts(), "[stage] shares '{}' are of {} sources; [data] source has {}",
               stage.shares, shares, source_.parts());
    }
    if (c.validate_every == 0 || hooks_.validation == nullptr) return;
    const BatchShape shape = validation_shape();
    trainer_.check_shape(shape.rows, shape.length, shape.segment);
  }

  RunOutcome run() {
    while (trainer_.done() < steps_ && !trainer_.ranks().any(hooks_.stop())) one_step();
    save();
    return {trainer_.done(), trainer_.done() == steps_, saved_training_path(out_, saved_step_)};
  }

 private:
  /// Every so-many-th step after the first stage is a short one: which, follows from its number alone.
  bool is_short(int64_t step) const {
    return curriculum_.stage() > 0 && c.short_share > 0 &&
           std::floor(static_cast<double>(step) * c.short_share) != std::floor(static_cast<double>(step - 1) * c.short_share);
  }

  /// The text of a source with answers counts `text_weight` times, what names decide `name_weight` times.
  static std::vector<float> weights_of(const Source& source, const RunConfig& c) {
    const size_t kinds = source.kinds().size();
    std::vector<float> out;
    for (size_t kind = 0; kind < kinds; ++kind) {
      const std::string loss = source.loss(kind);
      out.push_back(static_cast<float>(loss == "text" ? c.text_weight : loss == "names" ? c.name_weight : 1));
    }
    return out;
  }

  Batch weighed(Batch batch) const {
    if ((c.text_weight == 1 && c.name_weight == 1) || !batch.kind.defined() || !batch.share.defined()) return batch;
    const auto* kind = batch.kind.const_data_ptr<int8_t>();
    auto* share = batch.share.data_ptr<float>();
    for (int64_t i = 0; i < batch.kind.numel(); ++i)
      if (kind[i] >= 0) share[i] *= weights_[static_cast<size_t>(kind[i])];
    return batch;
  }

  void one_step() {
    const StageConfig& stage = curriculum_.now();
    const bool is_short_one = is_short(trainer_.done() + 1);
    const int64_t length = is_short_one ? curriculum_.first().length : stage.length;
    if (stage.segment > 0 && stage.segment != trainer_.segment()) trainer_.set_segment(stage.segment);
    const BatchShape shape{rows(c, length), length, trainer_.segment(), is_short_one ? 1.0 : static_cast<double>(stage.repeats),
                           shares_of(stage)};
    const StepResult result = trainer_.step([&] { return weighed(source_.next(shape)); });
    if (!result.bad.empty())
      fail("[train] step {}: {} is not finite, the first that went bad; {}", trainer_.done() + 1, result.bad, last_good());
    since_.add(result, cost_of(length));
    tokens_ += result.tokens;
    last_ = result;
    const int64_t done = trainer_.done();
    hooks_.stepped(done);
    std::optional<Validation> validation;
    if (c.validate_every > 0 && hooks_.validation != nullptr && (done % c.validate_every == 0 || done == steps_))
      since_.pause([&] { validation = validate(); });
    if (done % c.log_every == 0 || done == steps_ || validation) record(std::move(validation));
    if (!is_short_one) steer(result);
    if (best_step_ == done || (c.save_every > 0 && done % c.save_every == 0)) since_.pause([&] { save(); });
  }

  const TokenCost& cost_of(int64_t length) {
    if (cost_length_ != length || cost_segment_ != trainer_.segment())
      cost_ = token_cost(trainer_.parameters(), trainer_.model().config(), trainer_.method(), length);
    cost_length_ = length, cost_segment_ = trainer_.segment();
    return cost_;
  }

  std::string last_good() const {
    return saved_step_ > 0 ? "the last good checkpoint is " + saved_training_path(out_, saved_step_).string()
                           : "there is no checkpoint yet: [run] save_every is " + std::to_string(c.save_every) + " steps";
  }

  /// The stage goes on by what was answered; waiting for the device only where a stage may end by it.
  void steer(const StepResult& result) {
    std::vector<AnswerCount> answers;
    if (curriculum_.now().until > 0 && result.scored.defined()) {
      const Tensor counts = at::stack({result.right, result.scored}).cpu();  // [2,K]
      const auto kinds = source_.kinds();
      for (size_t k = 0; k < kinds.size() && static_cast<int64_t>(k) < counts.size(1); ++k) {
        const bool counts_here =
            c.steer.empty() ? source_.loss(k) != "text" : (";" + c.steer + ";").find(";" + kinds[k] + ";") != std::string::npos;
        const auto count = [&](int64_t which) { return counts[which][static_cast<int64_t>(k)].item<double>(); };
        if (counts_here) answers.push_back({count(0), count(1)});
      }
    }
    if (!curriculum_.advance(std::move(answers), trainer_.done(), steps_)) return;
    hooks_.say(fmt::format("step {}: texts of {} tokens, repeats up to {}", trainer_.done(), curriculum_.now().length,
                           curriculum_.now().repeats));
  }

  void record(std::optional<Validation> validation) {
    Record out;
    out.step = trainer_.done(), out.stage = static_cast<int64_t>(curriculum_.stage()), out.length = curriculum_.now().length,
    out.tokens = tokens_;
    out.gradient_norm = last_.gradient_norm.item<double>(), out.rate = last_.rate;
    out.seconds = seconds_;
    since_.put(out, source_.kinds());
    seconds_ = out.seconds;
    if (hooks_.peak_operations) out.utilization = out.operations_per_second / *hooks_.peak_operations;
    out.memory_bytes = peak_bytes(trainer_.device());
    out.seconds_left = operations_left(trainer_, curriculum_, c.tokens, last_, steps_) / out.operations_per_second;
    out.gates = gates_of(trainer_.model());
    out.validation = std::move(validation);
    hooks_.record(out);
  }

  /// Rows of one length and one segment, whatever stage it is, so that numbers can be compared.
  BatchShape validation_shape() const {
    int64_t length = c.validation_length, segment = 0;
    for (const auto& stage : curriculum_.stages()) {
      if (c.validation_length == 0) length = std::max(length, stage.length);
      if (stage.segment > 0) segment = stage.segment;
    }
    return {rows(c, length), length, segment > 0 ? segment : trainer_.segment(), 1};
  }

  Validation validate() {
    const BatchShape shape = validation_shape();
    Validation out = validated(trainer_, *hooks_.validation, shape, c.validation_batches);
    LV_CHECK(std::isfinite(out.loss), "[train] step {}: the validation loss is not finite; {}", trainer_.done(), last_good());
    hooks_.say(fmt::format("step {}: validation {:.4f}", trainer_.done(), out.loss));
    if (!best_ || out.loss < *best_) best_ = out.loss, best_step_ = trainer_.done();
    return out;
  }

  void save() {
    if (saved_step_ == trainer_.done()) return;
    const std::string bad = first_bad_parameter(trainer_.parameters());
    LV_CHECK(bad.empty(), "[train] after step {}: {} is not finite, the first that went bad; {}", trainer_.done(), bad,
             last_good());
    Json rest = {{"tokens", tokens_}, {"seconds", seconds_}, {"curriculum", curriculum_.state()}, {"data", source_.state()}};
    if (best_) rest["best"] = *best_, rest["best_step"] = best_step_;
    save_training(saved_training_path(out_, trainer_.done()), trainer_, rest);
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
  const std::vector<float> weights_;  // of losses, by kind
  Since since_;
  StepResult last_;
  int64_t tokens_ = 0, saved_step_ = 0, best_step_ = 0;
  double seconds_ = 0;
  std::optional<double> best_;
  TokenCost cost_;
  int64_t cost_length_ = -1, cost_segment_ = -1;
};

}  // namespace

Json Record::json() const {
  Json out = {{"step", step},
              {"stage", stage},
              {"length", length},
              {"tokens", tokens},
              {"seconds", seconds},
              {"loss", loss},
              {"gradient_norm", gradient_norm},
              {"rate", rate},
              {"tokens_per_second", tokens_per_second},
              {"operations_per_second", operations_per_second},
              {"memory_bytes", memory_bytes},
              {"seconds_left", seconds_left}};
  if (utilization) out["mfu"] = *utilization;
  for (const auto& [kind, share] : accuracies) out["accuracy"][kind] = share;
  if (!gates.empty()) out["gates"] = gates;
  if (!validation) return out;
  Json& held_out = out["validation"];
  held_out = {{"loss", validation->loss}, {"positions", Json::array()}};
  for (const auto& bucket : validation->positions)
    held_out["positions"].push_back({{"from", bucket.from}, {"to", bucket.to}, {"targets", bucket.targets}, {"loss", bucket.loss}});
  for (const auto& [kind, share] : validation->accuracies) held_out["accuracy"][kind] = share;
  return out;
}

RunOutcome run_training(Trainer& trainer, Source& source, Curriculum curriculum, const RunConfig& config, int64_t steps,
                        const std::filesystem::path& out, const Json& rest, const RunHooks& hooks) {
  LV_CHECK(config.tokens >= 1 && config.log_every >= 1, "[run] tokens and log_every must be at least 1; got {} and {}",
           config.tokens, config.log_every);
  LV_CHECK(config.text_weight >= 0 && config.name_weight >= 0,
           "[run] text_weight and name_weight must not be negative; got {} and {}", config.text_weight, config.name_weight);
  Run run(trainer, source, std::move(curriculum), config, steps, out, hooks);
  run.check();
  run.take_up(rest);
  return run.run();
}

}  // namespace longview
