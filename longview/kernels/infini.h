// Infini-attention (arXiv:2404.07143) over a text of any length, segment after segment of N tokens, in this order: read the memory of the
// segments before with q not rotated; write this segment's k and v into it; attend inside the segment, rotated and causal; mix by the gate.
//   out = g a_memory + (1 - g) a_local          g one number a query head, the memory one a key head, empty in a text's first segment
// With an overlap (ours) local attention also sees that many tokens before the segment, and a token is written when it leaves that view;
// with sinks (ours) it sees the text's first tokens too, which are never written. Places count from the first token in view.
#pragma once

#include "longview/kernels/attention.h"
#include "longview/kernels/memory.h"

namespace longview::kernels {

/// Where the memory is empty: bypass: local attention as it is; scale: (1 - g) of it, as if zeros had been read.
enum class EmptyMemory { bypass, scale };

struct InfiniRules {
  int64_t segment = 2048;  // N
  int64_t overlap = 0;     // O, at most N
  MemoryRules memory = {};
  EmptyMemory empty = EmptyMemory::bypass;
  int64_t sinks = 0;  // at most N - O, or less than N where O is N: no view holds a part of them
};

struct InfiniOperands {
  Tensor q, k, v;          // [B,H,T,D] [B,G,T,D] [B,G,T,D], not rotated, any T; query head h reads key head h / (H/G)
  Tensor gate;             // [H] g, usually sigmoid(beta)
  Rotation rotation = {};  // [sinks+O+N,M] of the places in view; undefined: not rotated
  /// The O tokens before the first, which the memory does not hold yet, [B,G,O,D] each; undefined: the text begins here.
  Tensor k_before = {}, v_before = {};
  /// How often each token is written, those before the first one included, [B,T] or [B,O+T]: 0 not at all, r as if it had come r times;
  /// undefined: once.
  Tensor weight = {};
  /// Packed texts: an id each token [B,T], -1 for padding. A token sees only its own text, in its segment and in the memory. Undefined: one.
  Tensor document = {};
  Memory memory = {};               // before the first token, M [B,G,F,D], z [B,G,F], n [B]; undefined: empty
  int64_t begun = 0;                // tokens of the text before the first, where there are sinks
  Tensor sink_k = {}, sink_v = {};  // the text's first tokens [B,G,sinks,D] each; undefined: the text begins here
};

struct InfiniResult {
  Tensor out;     // [B,H,T,D] in the type of q
  Memory memory;  // after the last full segment: a shorter one at the end is attended to and not written, nor are the last O tokens
};

/// Differentiable in q, k, v, the gate and the memory. Parallel over segments (linear rule) or a scan over them (delta rules); keeps q, k, v
/// and the memory before each segment, and computes the rest again on the way back.
InfiniResult infini(const InfiniOperands& x, const InfiniRules& rules);

/// One way to compute it. The first of the table whose refusal is empty runs; LONGVIEW_INFINI=NAME forces one.
struct InfiniKernel {
  std::string_view name, summary;
  std::string (*refusal)(const InfiniOperands& x, const InfiniRules& rules);
  InfiniResult (*run)(const InfiniOperands& x, const InfiniRules& rules);
};
std::span<const InfiniKernel> infini_kernels();

InfiniResult infini_ref(const InfiniOperands& x, const InfiniRules& rules);
InfiniResult infini_parallel(const InfiniOperands& x, const InfiniRules& rules);
std::string infini_cuda_refusal(const InfiniOperands& x, const InfiniRules& rules);
InfiniResult infini_cuda(const InfiniOperands& x, const InfiniRules& rules);

/// Shapes by name, and values that make sense.
void check(const InfiniOperands& x, const InfiniRules& rules);

}  // namespace longview::kernels
