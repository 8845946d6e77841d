// The CPU memory of tensors, large blocks kept for the next tensor of their size.
#pragma once

namespace longview {

/// From now on tensors of a mebibyte or more take blocks of their own, which are kept when they are freed (96 MiB at most) and given to
/// the next tensor of that size: a reader takes the same sizes for every chunk, and a heap that serves them among small things is
/// scattered and grows for hours. Call it before the first tensor is made.
void recycle_large_tensors();

}  // namespace longview
