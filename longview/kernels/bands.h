// A long text in stretches that are alike, as rows of a batch: what makes a window cost its width and not the text's length.
#pragma once

#include "longview/kernels/attention.h"

namespace longview::kernels {

/// x [B,G,n,D]: tokens [first + s step, first + s step + width) of each of `count` stretches s as a row of its own [B*count,G,width,D].
Tensor stretches(const Tensor& x, int64_t first, int64_t width, int64_t step, int64_t count);

/// And back, of stretches that do not overlap: [B*count,H,N,D] -> [B,H,count*N,D].
Tensor end_to_end(const Tensor& x, int64_t count);

/// `count` blocks of `rows` queries in a row, from `row` on. Block s has the `keys` keys from `key` + s `rows` on, and its queries see
/// the same of them as those of block 0.
struct Band {
  int64_t row, rows, key, keys, count = 1;
};

/// The queries of a set in bands, in their order: blocks as long as the widest range, where that leaves out most of the keys; else one
/// band of everything.
std::vector<Band> bands_of(const KeySet& set);

}  // namespace longview::kernels
