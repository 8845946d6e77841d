// A decoder: embed, layers, norm; the output layer is a separate step, so that logits are made only where they are needed.
#pragma once

#include "longview/checkpoint/checkpoint.h"
#include "longview/model/block.h"

namespace longview {

struct Forward {
  Tensor hidden;     // [B,T,E] after the last norm; with Segment::only_last perhaps only the last rows of it, 1 to T
  ModelState state;  // after the segment
};

class Transformer {
 public:
  /// Packs the checkpoint's weights (quantised ones stay quantised); throws on NaN or infinite weights. The checkpoint's mapped
  /// pages are given back as they are packed.
  /// On a GPU the layers' matrices are of `type`, f32 or bf16, in which products with them are made, and embedding and head f32.
  explicit Transformer(const Checkpoint& checkpoint, at::Device device = at::kCPU, at::ScalarType type = at::kFloat);
  /// A model over tensors that the caller keeps and may train, under the checkpoint's names; matrices in any floating type, in which
  /// products with them are made. Rotary pairs are halves, whatever the config says.
  /// Low-rank adapters beside a matrix (checkpoint/adapter.h) count `adapter_scale` times.
  Transformer(ModelConfig config, const std::map<std::string, Tensor>& tensors, double adapter_scale = 1);

  const ModelConfig& config() const { return config_; }
  /// [H] the memory's share in each head of a layer; undefined without a memory.
  Tensor memory_gate(int64_t layer) const { return blocks_.at(static_cast<size_t>(layer)).memory_gate(); }
  at::Device device() const { return device_; }
  int64_t weight_bytes() const;

  /// The position a model has when nothing is asked for: the checkpoint's own scaling, or rope.
  std::string default_position() const { return config_.own_position().empty() ? "rope" : config_.own_position(); }
  /// The attention a model has when nothing is asked for: the one it was made for, its own sliding window, or full.
  std::string default_attention() const;
  /// A method for every layer, from settings such as "yarn:factor=4" and "streaming:window=1024"; "" asks for the default, and
  /// position "none" for the checkpoint's rotation unscaled. Throws on unknown names and on settings that make no sense.
  Method method(std::string_view position, std::string_view attention) const;

  /// Reads a segment; state must be empty or what an earlier call with the same method gave. In training with `recompute` only what goes
  /// into each layer is kept, and the layer is computed again on the way back.
  Forward forward(const Segment& segment, const Method& method, ModelState state, bool recompute = false) const;
  /// Reads a segment (B = 1) of each of several texts, of any lengths and at any places, as one batch: the weights are read once.
  std::vector<Forward> forward(std::span<const Segment> segments, const Method& method, std::vector<ModelState> states) const;
  /// hidden [...,E] -> logits [...,V]
  Tensor logits(const Tensor& hidden) const;
  /// hidden [T,E] -> [T,V] in `memory`, for the next call again.
  Tensor logits(const Tensor& hidden, Tensor& memory) const;

 private:
  /// Checks that the state goes with the segment and the model, and gives an empty one its layers.
  void prepare(const Segment& segment, ModelState& state) const;
  /// ids [B,T] -> [B,T,E]
  Tensor embedded(const Tensor& ids) const;
  /// [V,E]: its own, or the embedding's.
  const kernels::Weight& head() const { return config_.tied_head ? embedding_ : head_; }
  /// The last norm: x [B,T,E] -> [B,T,E] in the type of the head.
  Tensor normed(const Tensor& x) const;
  /// x [B,T,E] through all layers, before the last norm; moves the state on.
  Tensor through_layers(Tensor x, const Segment& segment, const Method& method, ModelState& state, bool recompute) const;
  /// forward for a method with a memory in the stream.
  Forward recurrent(const Segment& segment, const Method& method, ModelState state, bool recompute) const;
  Forward recurrent_texts(const Segment& segment, const Method& method, bool recompute) const;
  /// Takes its weights from a file's tensors or from tensors as they are.
  void load(const auto& source);

  ModelConfig config_;
  at::Device device_;
  kernels::Weight embedding_, head_;  // [V,E]; head_ is empty when tied
  Tensor norm_;                       // [E]
  std::vector<BlockWeights> blocks_;
  std::map<std::string, Tensor> values_;  // what its own methods learned: NAME of "model.position.NAME", "model.attention.NAME"
};

}  // namespace longview
