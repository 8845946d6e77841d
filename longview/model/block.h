// One layer: norm, attend, add, norm, feed forward, add.
#pragma once

#include <limits>

#include "longview/attention/attention.h"
#include "longview/checkpoint/config.h"
#include "longview/kernels/linear.h"

namespace longview {

/// The weights of one layer; biases and head norms are undefined where the architecture has none.
struct BlockWeights {
  Tensor attention_norm, feed_forward_norm;  // [E]
  kernels::Weight q, k, v, o;                // [H*D,E] [G*D,E] [G*D,E] [E,H*D]
  Tensor q_bias, k_bias, v_bias;             // [H*D] [G*D] [G*D]
  Tensor q_norm, k_norm;                     // [D]
  Tensor memory_beta;                        // [H] what the memory's share comes from; undefined without a memory
  bool is_tanh_gate = false;
  kernels::Weight gate, up, down;  // [F,E] [F,E] [E,F]

  /// [H] the memory's share g in each head; undefined without a memory.
  Tensor memory_gate() const {
    return !memory_beta.defined() ? Tensor() : is_tanh_gate ? memory_beta.tanh() : memory_beta.sigmoid();
  }
};

/// How a layer looks back: a model's layers may differ.
struct Method {
  std::shared_ptr<const Attention> attention;
  std::shared_ptr<const Position> position;
};

struct BlockResult {
  Tensor x;  // [B,T,E], or [B,most,E]
  State state;
};

/// x [B,T,E] f32 -> the layer's output for the last `most` tokens, and its state after the segment.
BlockResult block(const ModelConfig& config, const BlockWeights& weights, const Attention& attention, const Position& position,
                  Tensor x, const Segment& segment, State state, int64_t most = std::numeric_limits<int64_t>::max());

/// Several texts, each at its own place: x [1,N,E] holds the tokens of all segments (B = 1) one after the other. They share the
/// products with the weights, and each attends to its own state, which is moved on. Gives the last most[n] of each text's tokens.
Tensor block(const ModelConfig& config, const BlockWeights& weights, const Attention& attention, const Position& position, Tensor x,
             std::span<const Segment> segments, std::span<State* const> states, std::span<const int64_t> most);

}  // namespace longview
