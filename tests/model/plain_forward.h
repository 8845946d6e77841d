// The forward pass as transformers writes it: plain tensor operations on the checkpoint's tensors, in any dtype.
#pragma once

#include "longview/checkpoint/checkpoint.h"
#include "longview/position/position.h"

namespace longview::testing {

/// Weights of a checkpoint with rotary halves (Hugging Face's) in one dtype.
class PlainModel {
 public:
  PlainModel(const Checkpoint& checkpoint, at::ScalarType dtype) : c_(checkpoint.config) {
    LV_CHECK(!c_.interleaved_rotary, "[plain] needs a checkpoint whose rotary pairs are halves");
    for (const auto& [name, stored] : checkpoint.tensors) {
      Tensor x = at::empty(stored.shape);
      dequantize(stored.type, stored.bytes.data(), x.numel(), x.data_ptr<float>());
      weights_[name] = x.to(dtype);
    }
  }

  /// ids [T] -> logits [T,V], all in one causal pass; a window of 0 is none.
  Tensor logits(const Tensor& ids, const Position& position) const {
    const int64_t T = ids.size(0);
    const Tensor i = at::arange(T, at::kLong), away = i.unsqueeze(-1) - i;  // [T], [T,T]
    Tensor hidden = (away < 0);
    if (c_.sliding_window > 0) hidden = hidden.logical_or(away >= c_.sliding_window);
    const Tensor angles = i.to(at::kDouble).unsqueeze(-1) * position.theta(T);                                // [T,D/2]
    const Tensor scale = position.scale(i, T).unsqueeze(-1) / std::sqrt(static_cast<double>(c_.head_width));  // [T,1]
    Tensor x = of("model.embed_tokens.weight").index_select(0, ids);                                          // [T,E]
    for (int64_t layer = 0; layer < c_.layers; ++layer) {
      const std::string at = fmt::format("model.layers.{}.", layer);
      const Tensor h = norm(x, at + "input_layernorm.weight");
      const Tensor q = rotated(heads(h, at + "self_attn.q", c_.heads), angles);
      const Tensor k = rotated(heads(h, at + "self_attn.k", c_.kv_heads), angles).repeat_interleave(c_.heads / c_.kv_heads, 0);
      const Tensor v = heads(h, at + "self_attn.v", c_.kv_heads).repeat_interleave(c_.heads / c_.kv_heads, 0);        // [H,T,D]
      const Tensor scores = (at::matmul(q, k.transpose(1, 2)) * scale.to(x.dtype())).masked_fill(hidden, -INFINITY);  // [H,T,T]
      const Tensor mixed = at::matmul(at::softmax(scores, -1), v).transpose(0, 1).reshape({T, -1});                   // [T,H*D]
      x = x + at::matmul(mixed, of(at + "self_attn.o_proj.weight").t());
      const Tensor g = norm(x, at + "post_attention_layernorm.weight");
      const Tensor gate = at::matmul(g, of(at + "mlp.gate_proj.weight").t()), up = at::matmul(g, of(at + "mlp.up_proj.weight").t());
      x = x + at::matmul(at::silu(gate) * up, of(at + "mlp.down_proj.weight").t());
    }
    return at::matmul(norm(x, "model.norm.weight"), of(c_.tied_head ? "model.embed_tokens.weight" : "lm_head.weight").t());
  }

 private:
  const Tensor& of(const std::string& name) const { return weights_.at(name); }

  Tensor normed(const Tensor& x, const Tensor& weight) const {
    return x * at::rsqrt(x.square().mean(-1, true) + c_.norm_epsilon) * weight;
  }
  Tensor norm(const Tensor& x, const std::string& name) const { return normed(x, of(name)); }

  Tensor heads(const Tensor& h, const std::string& name, int64_t count) const {
    Tensor out = at::matmul(h, of(name + "_proj.weight").t());  // [T,count*D]
    if (weights_.contains(name + "_proj.bias")) out = out + of(name + "_proj.bias");
    out = out.view({h.size(0), count, c_.head_width});
    if (weights_.contains(name + "_norm.weight")) out = normed(out, of(name + "_norm.weight"));
    return out.transpose(0, 1);  // [count,T,D]
  }

  static Tensor rotated(const Tensor& x, const Tensor& angles) {
    const Tensor cos = angles.cos().to(x.dtype()), sin = angles.sin().to(x.dtype());  // [T,D/2]
    const int64_t M = cos.size(1);
    const Tensor a = x.narrow(-1, 0, M), b = x.narrow(-1, M, M);
    return at::cat({a * cos - b * sin, b * cos + a * sin}, -1);
  }

  ModelConfig c_;
  std::map<std::string, Tensor> weights_;
};

}  // namespace longview::testing
