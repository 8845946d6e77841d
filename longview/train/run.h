// A whole training: stages, steps, validation, records, checkpoints; stopped and taken up again.
#pragma once

#include <filesystem>

#include "longview/train/curriculum.h"
#include "longview/train/trainer.h"

namespace longview {

struct RunConfig {
  int64_t tokens = 65536;  // a batch
  int64_t save_every = 500, keep = 2;
  int64_t log_every = 10;
  int64_t validate_every = 100, validation_batches = 8, validation_length = 0;
  std::string steer;       // kinds of answers that stages wait for, by name, separated by ';'; "": all
  double short_share = 0;  // of the steps after the first stage that use its length, so that it is not forgotten
  double text_weight = 1;  // of the mean loss of text beside that of answers
  double name_weight = 1;  // and of what the names of named keys decide
  uint64_t seed = 0;
  double timeout = 1800;
  void fields(auto&& field) {
    field("tokens", tokens, "tokens a batch: rows follow from the stage's length");
    field("save_every", save_every, "steps between checkpoints; 0: only at the end");
    field("keep", keep, "checkpoints that are kept, besides the best");
    field("log_every", log_every, "steps between records");
    field("validate_every", validate_every, "steps between validations, where [data] validation says on what; 0: none");
    field("validation_batches", validation_batches, "batches of a validation, the same ones every time");
    field("validation_length", validation_length, "tokens a row of them; 0: as the longest stage");
    field("steer", steer, "kinds of answers that a stage's `until` counts, separated by ;; nothing: all that are not text");
    field("short_share", short_share, "share of the steps after the first stage that have its length");
    field("text_weight", text_weight, "how often the loss of text counts beside that of answers (both are means)");
    field("name_weight", name_weight, "how often that of the tokens counts which the name of a key decides (a mean too)");
    field("seed", seed, "of weights and data");
    field("timeout", timeout, "seconds that a rank waits for the others before it gives up");
  }
};

/// Loss on texts that are not trained on; and by position in their rows.
struct Validation {
  struct Bucket {
    int64_t from = 0, to = 0, targets = 0;
    double loss = 0;  // mean nats a target
  };
  double loss = 0;                                           // as in training: of several losses the sum of their means
  std::vector<Bucket> positions{};                           // eighths of a row that have targets
  std::vector<std::pair<std::string, double>> accuracies{};  // by kind
};

/// One line of the log.
struct Record {
  int64_t step = 0, stage = 0, length = 0, tokens = 0;  // length: of the stage's rows; tokens since the beginning
  double seconds = 0;                                   // since the beginning, of all sessions
  double loss = 0, gradient_norm = 0, rate = 0, tokens_per_second = 0;
  double operations_per_second = 0;                          // of the model, by train/cost.h
  std::optional<double> utilization{};                       // of what the device can do
  int64_t memory_bytes = 0;                                  // peak, of the device
  double seconds_left = 0;                                   // of all stages, at the speed since the last record
  std::vector<std::pair<std::string, double>> accuracies{};  // by kind, since the last record
  std::vector<double> gates{};                               // mean of each layer
  std::optional<Validation> validation{};                    // after this step
  Json json() const;
};

struct RunHooks {
  std::function<void(const Record&)> record = [](const Record&) {};
  std::function<void(const std::string&)> say = [](const std::string&) {};
  std::function<void(int64_t)> stepped = [](int64_t) {};  // after each step, with its number
  std::function<bool()> stop = [] { return false; };      // asked after each step; where one rank says so all stop
  Source* validation = nullptr;                           // what to validate on; none
  std::optional<double> peak_operations{};                // of all ranks' devices, a second
};

struct RunOutcome {
  int64_t step = 0;
  bool is_finished = false;
  std::filesystem::path saved;  // the last checkpoint
};

/// Trains until `config.steps` of the trainer, from where it is. Throws where numbers stop being finite, with the first tensor that went bad
/// (train/fault.h), and leaves the last good checkpoint. `rest` is what SavedTraining::rest had, null for a new training.
RunOutcome run_training(Trainer& trainer, Source& source, Curriculum curriculum, const RunConfig& config, int64_t steps,
                        const std::filesystem::path& out, const Json& rest, const RunHooks& hooks);

}  // namespace longview
