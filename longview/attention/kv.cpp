// Appending to keys and values without copying the past at every step.
#include "longview/attention/kv.h"

#include <c10/core/GradMode.h>

namespace longview {
namespace {

/// Tokens that still fit behind x in the memory it views, 0 when another tensor shares that memory.
int64_t room_behind(const Tensor& x) {
  if (x.use_count() > 1 || x.storage().use_count() > 1) return 0;  // a fork, or a caller, holds these tokens too
  const int64_t width = x.size(3), capacity = x.stride(1) / width, begin = x.storage_offset() / width % capacity;
  return capacity - begin - x.size(2);
}

}  // namespace

Tensor appended(Tensor past, const Tensor& fresh, int64_t spare) {
  const int64_t B = fresh.size(0), G = fresh.size(1), T = fresh.size(2), D = fresh.size(3);
  const int64_t n = past.defined() ? past.size(2) : 0;
  if (c10::GradMode::is_enabled() && (fresh.requires_grad() || (n > 0 && past.requires_grad())))
    return n > 0 ? at::cat({past, fresh}, 2) : fresh;  // [B,G,n+T,D] autograd keeps what it was given: nothing is written over
  if (n > 0 && room_behind(past) >= T) {
    const Tensor both = at::as_strided(past, {B, G, n + T, D}, past.strides(), past.storage_offset());  // [B,G,n+T,D]
    both.narrow(2, n, T).copy_(fresh);
    return both;
  }
  const Tensor memory = at::empty({B, G, n + T + spare, D}, fresh.options());  // [B,G,capacity,D]
  if (n > 0) memory.narrow(2, 0, n).copy_(past);
  memory.narrow(2, n, T).copy_(fresh);
  return memory.narrow(2, 0, n + T);  // [B,G,n+T,D]
}

Tensor part(const Tensor& x, int64_t first, int64_t count) { return count == x.size(2) ? x : x.narrow(2, first, count); }

Tensor last(const Tensor& x, int64_t count) { return x.size(2) <= count ? x : x.narrow(2, x.size(2) - count, count); }

}  // namespace longview
