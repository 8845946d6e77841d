// The tensors that training changes, side by side in a few flat ones: an optimiser's step, the gradients' norm and what processes exchange
// are each a handful of operations, whatever the model.
#pragma once

#include "longview/checkpoint/checkpoint.h"
#include "longview/flow.h"
#include "longview/parallel/communicator.h"

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
  int64_t count = 0;  // numbers in the slices; P is that, or a little more, a multiple of the ranks that share the masters
  Tensor master =
      {};  // f32 (f64) [P], what the optimiser changes and a checkpoint holds; a rank's part of it where they are shared
  Tensor values = {},
         grads = {};  // [P] in the type of the products: what the model computes with (master itself where the types are one)
  Tensor sum = {};    // f32 [P] gradients of several batches; undefined where one is enough
};

struct ParameterOptions {
  at::Device device = at::kCPU;
  at::ScalarType type = at::kFloat;                  // of the matrices: f32, bf16 on a GPU, f64 in tests
  double decay = 0.1;                                // of the matrices; vectors and gates have none
  double gate_rate = 1;                              // learning rate of the memory's gates over that of the rest
  std::vector<std::string> frozen{};                 // parts of names that are not trained; "*": all but what `trained` names
  std::vector<std::string> trained{};                // exceptions from `frozen`
  std::shared_ptr<Communicator> ranks = one_rank();  // that train the same model
  bool is_shared = false;                            // each rank keeps the masters of its part only (ZeRO-1, arXiv:1910.02054)
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
  /// Every trained tensor's f32 (f64) values so far; and others in place of them. All ranks must call these.
  std::map<std::string, Tensor> masters() const;
  void set_masters(const std::map<std::string, Tensor>& values);
  bool is_shared() const { return is_shared_; }
  Communicator& ranks() const { return *ranks_; }
  /// The group that a tensor of the optimiser is beside: "matrices.m" is of the matrices.
  size_t group_of(const std::string& name) const;
  /// This rank's part of the masters or of a tensor beside them -> [count], on every rank; and back. The same where they are not shared.
  Tensor whole(size_t group, const Tensor& part) const;
  Tensor part(size_t group, const Tensor& whole) const;

  void clear_gradients();
  /// Adds `share` of the gradients to the sum over a step's batches, which begins anew if asked.
  void accumulate(bool is_first, double share);
  /// f32 gradients of a group as this rank has them, [P].
  Tensor gradient(size_t group) const;
  /// The sums over all ranks, by group, as the masters are: one exchange a group. What gradient() gives may change by it.
  std::vector<Tensor> summed_gradients() const;
  /// l2 norm of all of those, on every rank, f32 [].
  Tensor norm(const std::vector<Tensor>& gradients) const;
  /// Rounds the masters to what the model computes with, after they were changed, and gives each rank the other ranks' parts.
  void publish();

  /// A checkpoint with the trained weights in place of those it was made from; it keeps them in memory, f32. All ranks must
  /// call it.
  Checkpoint checkpoint(const Checkpoint& original) const;

 private:
  std::shared_ptr<Communicator> ranks_;
  bool is_shared_;
  std::vector<ParameterGroup> groups_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::pair<size_t, size_t>> places_;  // group and slice
};

}  // namespace longview
