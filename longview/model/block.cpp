// A Llama-family layer (arXiv:2302.13971); Qwen2 adds biases to Q, K and V, Qwen3 a norm on each head of Q and K.
#include "longview/model/block.h"

#include "longview/kernels/elementwise.h"

namespace longview {
namespace {

Tensor heads(const Tensor& x, const Tensor& norm, const ModelConfig& config) {
  Tensor out = x.view({x.size(0), x.size(1), x.size(2) / config.head_width, config.head_width});  // [B,T,H,D]
  if (norm.defined()) out = kernels::rms_norm(out, norm, config.norm_epsilon);
  return out.transpose(1, 2);  // [B,H,T,D]
}

}  // namespace

BlockResult block(const ModelConfig& config, const BlockWeights& w, const Attention& attention, const Position& position, Tensor x,
                  const Segment& segment, State state) {
  const Tensor h = kernels::rms_norm(x, w.attention_norm, config.norm_epsilon);  // [B,T,E]
  const auto qkv = kernels::linear(h, std::array{&w.q, &w.k, &w.v}, std::array{w.q_bias, w.k_bias, w.v_bias});
  const Qkv operands{heads(qkv[0], w.q_norm, config), heads(qkv[1], w.k_norm, config), heads(qkv[2], {}, config), w.memory_gate};
  auto attended = attention.attend(operands, position, segment, std::move(state));
  const Tensor mixed = attended.out.transpose(1, 2).flatten(2);  // [B,T,H*D]
  x.add_(kernels::linear(mixed, w.o));                           // [B,T,E]

  const Tensor g = kernels::rms_norm(x, w.feed_forward_norm, config.norm_epsilon);  // [B,T,E]
  const auto gate_up = kernels::linear(g, std::array{&w.gate, &w.up});              // [B,T,F] twice
  x.add_(kernels::linear(kernels::silu_times(gate_up[0], gate_up[1]), w.down));     // [B,T,E]
  return {x, std::move(attended.state)};
}

}  // namespace longview
