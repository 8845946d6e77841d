// A Llama-family layer (arXiv:2302.13971); Qwen2 adds biases to Q, K and V, Qwen3 a norm on each head of Q and K.
#include "longview/model/block.h"

#include <numeric>

#include "longview/attention/kv.h"
#include "longview/attention/texts.h"
#include "longview/kernels/elementwise.h"

namespace longview {
namespace {

Tensor heads(const Tensor& x, const Tensor& norm, const ModelConfig& config) {
  Tensor out = x.view({x.size(0), x.size(1), x.size(2) / config.head_width, config.head_width});  // [B,T,H,D]
  if (norm.defined()) out = kernels::rms_norm(out, norm, config.norm_epsilon);
  return out.transpose(1, 2);  // [B,H,T,D]
}

/// x becomes what the rest of the layer goes on with.
Qkv operands(const ModelConfig& config, const BlockWeights& w, Tensor& x) {
  auto [same, h] = kernels::norm_beside(x, w.attention_norm, config.norm_epsilon, kernels::type_of(w.q));  // [B,T,E]
  x = std::move(same);
  const auto qkv = kernels::linear(h, std::array{&w.q, &w.k, &w.v}, std::array{w.q_bias, w.k_bias, w.v_bias});
  return {heads(qkv[0], w.q_norm, config), heads(qkv[1], w.k_norm, config), heads(qkv[2], {}, config), w.memory_gate()};
}

/// What follows attention, whose output is [B,H,T,D].
void add_rest(const ModelConfig& config, const BlockWeights& w, const Tensor& attended, Tensor& x) {
  const Tensor mixed = attended.transpose(1, 2).flatten(2);  // [B,T,H*D]
  x = kernels::add(x, kernels::linear(mixed, w.o));          // [B,T,E]

  const auto [same, g] = kernels::norm_beside(x, w.feed_forward_norm, config.norm_epsilon, kernels::type_of(w.gate));  // [B,T,E]
  const auto gate_up = kernels::linear(g, std::array{&w.gate, &w.up});                           // [B,T,F] twice
  x = kernels::add(same, kernels::linear(kernels::silu_times(gate_up[0], gate_up[1]), w.down));  // [B,T,E]
}

}  // namespace

BlockResult block(const ModelConfig& config, const BlockWeights& w, const Attention& attention, const Position& position, Tensor x,
                  const Segment& segment, State state, int64_t most) {
  const Qkv qkv = operands(config, w, x);
  if (!segment.texts.empty()) {
    add_rest(config, w, attended_texts(attention, qkv, position, segment), x);
    return {x, {}};
  }
  auto attended = attention.attend(qkv, position, segment, std::move(state));
  if (most < x.size(1)) {
    x = x.narrow(1, x.size(1) - most, most).contiguous();  // [B,most,E]
    attended.out = last(attended.out, most);               // [B,H,most,D]
  }
  add_rest(config, w, attended.out, x);
  return {x, std::move(attended.state)};
}

Tensor block(const ModelConfig& config, const BlockWeights& w, const Attention& attention, const Position& position, Tensor x,
             std::span<const Segment> segments, std::span<State* const> states, std::span<const int64_t> most) {
  const Qkv all = operands(config, w, x);
  const auto count = static_cast<int64_t>(segments.size());
  std::vector<int64_t> first(segments.size(), 0);
  for (size_t n = 1; n < segments.size(); ++n) first[n] = first[n - 1] + segments[n - 1].ids.size(1);
  std::vector<Tensor> out(segments.size());
  const auto attend = [&](int64_t n) {
    const int64_t at = first[n], T = segments[n].ids.size(1);
    const Qkv own{all.q.narrow(2, at, T), all.k.narrow(2, at, T), all.v.narrow(2, at, T), all.gate};  // [1,H,T,D] [1,G,T,D]
    auto attended = attention.attend(own, position, segments[n], std::move(*states[n]));
    out[n] = attended.out;
    *states[n] = std::move(attended.state);
  };
  if (x.is_cpu() && count >= at::get_num_threads()) {  // a text a thread; few texts are shared out inside the kernel
    const bool is_inference = c10::InferenceMode::is_enabled();
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      const c10::InferenceMode mode(is_inference);  // threads do not take it over
      for (int64_t n = begin; n < end; ++n) attend(n);
    });
  } else {
    for (int64_t n = 0; n < count; ++n) attend(n);
  }
  if (std::accumulate(most.begin(), most.end(), int64_t{0}) < x.size(1)) {
    std::vector<Tensor> kept;
    for (size_t n = 0; n < segments.size(); ++n) {
      out[n] = last(out[n], most[n]);                                                      // [1,H,most,D]
      kept.push_back(x.narrow(1, first[n] + segments[n].ids.size(1) - most[n], most[n]));  // [1,most,E]
    }
    x = at::cat(kept, 1);
  }
  add_rest(config, w, at::cat(out, 2), x);
  return x;
}

}  // namespace longview
