// The compressive memory of Infini-attention (arXiv:2404.07143): keys and values of a segment folded into one matrix a head.
//   sigma(x) = elu(x) + 1      read: a_t = sigma(q_t) M / sigma(q_t) z      write: M += sigma(K)^T V,  z += sum_t sigma(k_t)
// These are the steps of one segment, read before write; leading sizes (...) are batch, heads and, where nothing depends on an
// earlier segment, segments. kernels/infini.h puts them together with local attention and the gate.
#pragma once

#include "longview/base/tensor.h"

namespace longview::kernels {

/// Linear: as above. Delta (equation 9): M += sigma(K)^T (V - what M already says of K). Corrected delta: z grows only by what is
/// new in a key, 1 - sigma(k) z / |sigma(k)|^2 between 0 and 1 (arXiv:2407.04841), so that a key written often reads v, not v / 2.
enum class WriteRule { linear, delta, corrected_delta };
/// elu1: elu(x) + 1. dpfp: products of neighbours in [relu(x), relu(-x)] at distances 1 to 3 (arXiv:2102.11174), 6 D features.
enum class FeatureMap { elu1, dpfp };
/// Centred: the numerator reads with sigma(q) - z/n, n the tokens written: what all keys share cancels.
enum class ReadRule { plain, centred };

struct MemoryRules {
  WriteRule write = WriteRule::linear;
  FeatureMap features = FeatureMap::elu1;
  ReadRule read = ReadRule::plain;
};

struct Memory {
  Tensor M, z;  // [...,F,D] [...,F], f32 (f64 for f64 operands)
  Tensor n;     // [...] tokens written; 0: empty, and then nothing is read
};

/// x in the type that memories are of.
Tensor exact(const Tensor& x);
/// sigma(x), [...,D] -> [...,F], in f32 whatever smaller type x has; and the gradient of x from that of sigma(x).
Tensor features(const Tensor& x, FeatureMap map);
Tensor features_backward(const Tensor& x, const Tensor& grad, FeatureMap map);
int64_t feature_width(int64_t head_width, FeatureMap map);

/// sq [...,T,F] = sigma(q), live [...,T] 1 where a row may read, 0 where its memory is empty -> [...,T,D], 0 where not live.
Tensor memory_read(const Tensor& sq, const Memory& memory, const Tensor& live, const MemoryRules& rules);

/// What sk [...,T,F] = sigma(k) and v [...,T,D] add to the memory, each token `weight` [...,T] times; live as above, for the rules
/// that read.
Memory memory_write(const Tensor& sk, const Tensor& v, const Tensor& weight, const Memory& memory, const Tensor& live,
                    const MemoryRules& rules);

/// The steps of a text that is read piece by piece, without gradients: what the two above say, with one read for all rows and one
/// write for all tokens. f32 on the CPU, heads of a multiple of 16: by loops of our own, a head a thread; else by the two above.
///
/// local + gate (what q reads - local), [B,H,T,D]: q the same, gate [H], memory M [B,G,F,D] z [B,G,F] n [B,G] or [1,1], not empty; R = H/G
/// query heads read a memory. `local` may be written over.
Tensor memory_mix(const Tensor& q, const Tensor& gate, const Memory& memory, Tensor local, const MemoryRules& rules);
/// `sum` and what k and v [B,G,T,D] add to it, `block` tokens at a time: M [B,G,F,D] and z [B,G,F] alone. `memory` is what the rules read;
/// M of `memory` and of `sum` undefined: nothing is there yet. A row of whole blocks gives the same bits in one call and in several.
Memory memory_fold(const Tensor& k, const Tensor& v, int64_t block, const Memory& memory, const Memory& sum,
                   const MemoryRules& rules);

struct ReadGradients {
  Tensor sq;    // [...,T,F]
  Tensor M, z;  // of the memory that was read
};
/// From grad [...,T,D] of what was read, `read`.
ReadGradients memory_read_backward(const Tensor& grad, const Tensor& sq, const Memory& memory, const Tensor& live,
                                   const Tensor& read, const MemoryRules& rules);

struct WriteGradients {
  Tensor sk, v;  // [...,T,F] [...,T,D]
  Tensor M, z;   // of the memory that the rule read; undefined for the linear rule
};
/// From the gradients of the memory after the write, grad_M [...,F,D] and grad_z [...,F].
WriteGradients memory_write_backward(const Tensor& grad_M, const Tensor& grad_z, const Tensor& sk, const Tensor& v,
                                     const Tensor& weight, const Memory& memory, const Tensor& live, const MemoryRules& rules);

}  // namespace longview::kernels
