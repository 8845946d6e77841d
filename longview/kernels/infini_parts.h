// What the parallel forms of Infini-attention share, on the CPU and on GPUs.
#pragma once

#include "longview/kernels/infini.h"

namespace longview::kernels {

struct CudaLaunches;

/// x with zeros (or `value`) after its last index of `dim`, `size` in all.
Tensor padded(const Tensor& x, int64_t dim, int64_t size, double value = 0);

/// The memory before each segment and after the last, [B,G,S+1,...], from what it began with and what each segment added, [B,G,S,...].
/// stays [B,S]: 1 where the memory after a segment goes on from the one before it; undefined: everywhere.
Tensor prefix(const Tensor& start, const Tensor& added, const Tensor& stays);

/// Gradients of the memory before each segment and after the last, [B,G,S+1,...], from that of the last and of what each one read.
Tensor suffix(const Tensor& end, const Tensor& read, const Tensor& stays);

/// Operands cut into segments, zeros after the last.
struct Segments {
  int64_t S = 0;        // a shorter segment at the end counts
  Tensor q, k, v;       // [B,G,S,R,N,D] [B,G,S,N,D] [B,G,S,N,D]: what each one reads with, and what is written after it
  Tensor weight;        // [B,T] of the tokens that are written; undefined: once
  Tensor keys, values;  // [B,G,O+S*N,D] in view; those of the segments where nothing overlaps
};
/// x with a weight that writes no sink.
InfiniOperands without_sinks_written(InfiniOperands x, const InfiniRules& rules);
/// The text's first tokens, as many as there are of those that every view sees: k and v [B,G,sinks,D].
std::pair<Tensor, Tensor> sinks_of(const InfiniOperands& x, const InfiniRules& rules);
/// Whether a segment that begins at that token of the text sees the sinks besides what is before it, and not among it.
inline bool has_left_sinks(int64_t begin, const InfiniRules& rules) { return rules.sinks > 0 && begin > rules.overlap; }
/// How often each of the tokens is written that come `late` before the text's, [B,T].
Tensor written_late(const InfiniOperands& x, int64_t late);
Segments cut(const InfiniOperands& x, const InfiniRules& rules);

/// Softmax over each segment's view -> [B,G,S,R,N,D].
Tensor attend_inside(const Segments& cut, const InfiniOperands& x, const InfiniRules& rules);

/// [B,G,S,R,N,D] -> [B,H,T,D]
Tensor joined(const Tensor& x, int64_t T);

/// What infini_cuda does, by kernels that may be compiled for another device (a test's), and why it cannot; without one: "".
InfiniResult infini_fused(const InfiniOperands& x, const InfiniRules& rules, const CudaLaunches& kernels);
std::string infini_fused_refusal(const InfiniOperands& x, const InfiniRules& rules);

}  // namespace longview::kernels
