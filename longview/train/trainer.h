// A training step: forward, loss, backward, clipping, the optimiser; and all that is needed to go on later, to the bit on a CPU.
#pragma once

#include "longview/checkpoint/adapter.h"
#include "longview/model/transformer.h"
#include "longview/segment/batch.h"
#include "longview/train/optimizer.h"
#include "longview/train/schedule.h"
#include "longview/train/split.h"

namespace longview {

struct TrainerConfig {
  int64_t steps = 1000;
  double clip = 1;         // largest l2 norm of the gradient; 0: any
  int64_t accumulate = 1;  // batches a step
  bool recompute = false;  // keep only what goes into each layer, and compute the rest again on the way back
  std::string optimizer = "adamw";
  double decay = 0.1, gate_rate = 1;
  std::string precision = "auto";  // of products: f32, bf16; auto: bf16 on a GPU
  std::string frozen, trained;     // parts of names, separated by commas
  int64_t lora = 0;                // rank of low-rank adapters, which are trained in place of the matrices; 0: none
  double lora_alpha = 0;
  std::string lora_targets = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj";
  std::string position, attention;
  std::string shard = "none";
  int64_t sequence_ranks = 1;
  void fields(auto&& field) {
    field("steps", steps, "steps of the optimiser");
    field("clip", clip, "largest l2 norm of the gradient; 0: any");
    field("accumulate", accumulate, "batches a step");
    field("recompute", recompute, "compute a layer again on the way back and keep less");
    field("optimizer", optimizer, "adamw, adafactor, muon or tiger, with settings: adamw:beta2=0.99");
    field("decay", decay, "weight decay of the matrices");
    field("gate_rate", gate_rate, "learning rate of the memory's gates over that of the rest");
    field("precision", precision, "of products: f32 or bf16; auto: bf16 on a GPU");
    field("frozen", frozen, "parts of names that are not trained, separated by commas; *: all");
    field("trained", trained, "exceptions from frozen");
    field("lora", lora, "rank of low-rank adapters that are trained while all else is frozen but `trained`; 0: none");
    field("lora_alpha", lora_alpha, "they count alpha / rank times; 0: twice the rank");
    field("lora_targets", lora_targets, "parts of names of the matrices that get one, separated by commas");
    field("position", position, "position method that becomes the model's own; nothing: what it has");
    field("attention", attention, "attention method that becomes the model's own; nothing: what it has");
    field("shard", shard, "what the ranks share: none, or optimizer (its state and the f32 weights; ZeRO-1)");
    field("sequence_ranks", sequence_ranks, "ranks that one text is spread over, for infini layers; the rest share a batch's rows");
  }
};

/// What a step did, on all ranks together. Tensors are on the device: reading one waits for it.
struct StepResult {
  Tensor loss;           // f32 []
  Tensor gradient_norm;  // f32 [], before clipping
  Tensor right, scored;  // f32 [K] of each kind: targets that were the likeliest, and targets
  double rate = 0;
  int64_t tokens = 0, targets = 0;  // read, and of these scored
  std::string bad;                  // the first tensor that was not finite, in words; then nothing was changed. "": all is well
};

/// A batch's targets, without gradients.
struct TargetScores {
  Tensor loss;        // [] as in training: of several losses the sum of their means
  Tensor nll, right;  // f32, bool [n]
  Tensor place;       // int64 [n] of the target in its row, on the CPU
  Tensor kind;        // int64 [n]; undefined: all are of one kind
};

class Trainer {
 public:
  /// Several ranks make the same trainer and call the same functions together; each gives the whole batch and computes its part of it.
  Trainer(const Checkpoint& checkpoint, const TrainerConfig& config, const ScheduleConfig& schedule, at::Device device,
          const std::shared_ptr<Communicator>& ranks = one_rank());

  /// Step number `done()` + 1, from `config.accumulate` batches.
  StepResult step(const std::function<Batch()>& next);
  TargetScores score(const Batch& whole) const;
  /// Mean nats of a batch's targets, [] without gradients.
  Tensor evaluate(const Batch& batch) const { return score(batch).nll.mean(); }
  /// Throws where the ranks cannot share batches of B rows of T tokens in segments of N.
  void check_shape(int64_t B, int64_t T, int64_t N) const { check_split(split_, B, T, N); }

  /// Tokens that its memory writes together, 0 without a memory; and another number from now on.
  int64_t segment() const;
  void set_segment(int64_t tokens);

  int64_t done() const { return done_; }
  const Parameters& parameters() const { return parameters_; }
  const Transformer& model() const { return model_; }
  const Method& method() const { return method_; }
  at::Device device() const { return device_; }
  Communicator& ranks() const { return *split_.all; }
  /// Of products.
  at::ScalarType type() const { return parameters_.tensors().at("model.layers.0.self_attn.q_proj.weight").scalar_type(); }

  /// The weights as a checkpoint; and the rest: the optimiser's tensors by name, on the CPU, and the step. Whole on every rank, so that
  /// any number of ranks can go on with them; all ranks must call these.
  Checkpoint weights() const;
  /// Where adapters are trained: them, and all else that is.
  std::optional<Adapter> adapter() const;
  std::map<std::string, Tensor> rest() const;
  void restore(const std::map<std::string, Tensor>& rest, int64_t done);

 private:
  struct Scored;
  bool knows_documents() const;
  Segment segment_of(const Batch& part, int64_t first) const;
  Scored forward(const Batch& part) const;
  void sum_over_ranks(StepResult& result) const;
  std::string bad_output(const Batch& part, ModelState before) const;

  Checkpoint original_;
  TrainerConfig config_;
  ScheduleConfig schedule_;
  at::Device device_;
  Split split_;
  Parameters parameters_;
  Transformer model_;
  Method method_;
  std::unique_ptr<Optimizer> optimizer_;
  int64_t done_ = 0;
  mutable ModelState state_;  // of rows that go on
};

}  // namespace longview
