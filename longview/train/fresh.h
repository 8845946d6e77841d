// A model to train from the beginning: sizes and random weights.
#pragma once

#include "longview/checkpoint/checkpoint.h"

namespace longview {

/// Sizes of a Llama-shaped model.
struct FreshConfig {
  int64_t layers = 6, width = 384, heads = 6, kv_heads = 0, head_width = 0, feed_forward = 0, length = 8192;
  double rope_base = 10000, norm_epsilon = 1e-5;
  std::string position, attention, gate;  // its methods, and how its memory's gates come from beta; "": rope, full, none
  double beta = 0;                        // of the gates at first
  bool tied_head = false, qk_norm = false, qkv_bias = false;
  std::string normalize;  // "query", "key", "cosine"
  double score_scale = 0;
  void fields(auto&& field) {
    field("layers", layers, "layers");
    field("width", width, "width of the residual stream");
    field("heads", heads, "query heads");
    field("kv_heads", kv_heads, "key and value heads; 0: as many");
    field("head_width", head_width, "width of a head; 0: width / heads");
    field("feed_forward", feed_forward, "width of the feed-forward layer; 0: 8/3 of the width, a multiple of 64");
    field("length", length, "the trained length it will say it has, in tokens");
    field("rope_base", rope_base, "base of the rotary positions");
    field("norm_epsilon", norm_epsilon, "epsilon of the norms");
    field("position", position, "position method; nothing: rope");
    field("attention", attention, "attention method; nothing: full");
    field("gate", gate, "sigmoid or tanh: gates for a memory; nothing: none");
    field("beta", beta, "beta of the gates at first");
    field("tied_head", tied_head, "the output layer is the embedding");
    field("qk_norm", qk_norm, "a norm on each head of Q and K");
    field("qkv_bias", qkv_bias, "biases of Q, K and V");
    field("normalize", normalize, "key (KeyNorm), query or cosine (both): heads of length 1 before the scores; nothing: none");
    field("score_scale", score_scale, "of cosine: scores are this times the cosine; 0: 4 ln(length / 2), with logn 4 ln(length)");
  }
};

/// Weights: embedding 0.05, head 0.02, Q, K, V, gate and up 0.8/sqrt(inputs), outputs of a layer the same divided by sqrt(2 layers).
Checkpoint fresh_checkpoint(const FreshConfig& config, const TokenizerSpec& tokenizer, uint64_t seed);

/// The 256 bytes as a byte-level BPE without merges, which every library can read.
TokenizerSpec byte_tokenizer_spec();

}  // namespace longview
