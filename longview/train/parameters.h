// The tensors that training changes, side by side in a few flat ones: an optimiser's step, the gradients' norm and what processes exchange
// are each a handful of operations, whatever the model.
#pragma once

#include "longview/checkpoint/checkpoint.h"
#include "longview/flow.h"

namespace longview {

/// Parameters that are treated alike.
struct ParameterGroup {
  struct Slice {
    std::string name;  // as in the checkpoint
    std::vector<int64_t> shape;
    int64_t first = 0, count = 0;
  };
  std::string name;  // matrices, vectors or gates
  double rate = 1;   // of the learning rate
  double decay = 0;  // weight decay
  std::vector<Slice> slices{};
  Tensor master = {};  // f32 (f64) [P], what the optimiser changes and a checkpoint holds
  Tensor values = {},
         grads = {};  // [P] in the type of the products: what the model computes with (master itself where the types are one)
  Tensor sum = {};    // f32 [P] gradients of several batches; undefined where one is enough
};

struct ParameterOptions {
  at::Device device = at::kCPU;
  at::ScalarType type = at::kFloat;    // of the matrices: f32, bf16 on a GPU, f64 in tests
  double decay = 0.1;                  // of the matrices; vectors and gates have none
  double gate_rate = 1;                // learning rate of the memory's gates over that of the rest
  std::vector<std::string> frozen{};   // parts of names that are not trained; "*": all but what `trained` names
  std::vector<std::string> trained{};  // exceptions from `frozen`
};

class Parameters {
 public:
  /// Copies a checkpoint's weights, expanded; rotary pairs become halves.
  Parameters(const Checkpoint& checkpoint, const ParameterOptions& options);

  /// By name, for Transformer: trained ones have gradients.
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }
  std::vector<ParameterGroup>& groups() { return groups_; }
  const std::vector<ParameterGroup>& groups() const { return groups_; }
  int64_t count() const;  // numbers that are trained
  /// The tensor's f32 values as trained so far.
  Tensor master(const std::string& name) const;

  void clear_gradients();
  /// Adds `share` of the gradients to the sum over a step's batches, which begins anew if asked.
  void accumulate(bool is_first, double share);
  /// f32 gradients of all groups, one after the other's; l2 norm of all of them, f32 [].
  Tensor gradient(size_t group) const;
  Tensor gradient_norm() const;
  /// Rounds the masters to what the model computes with, after they were changed.
  void publish();

  /// A checkpoint with the trained weights in place of those it was made from; it keeps them in memory, f32.
  Checkpoint checkpoint(const Checkpoint& original) const;

 private:
  std::vector<ParameterGroup> groups_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::pair<size_t, size_t>> places_;  // group and slice
};

}  // namespace longview
