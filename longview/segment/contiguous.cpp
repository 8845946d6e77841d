// Cutting a stream of tokens into segments.
#include "longview/segment/contiguous.h"

#include <algorithm>

namespace longview {

Contiguous::Contiguous(int64_t length, int64_t first, std::function<void(const Segment&)> take)
    : length_(length), first_(first), take_(std::move(take)) {
  LV_CHECK(length >= 1, "[segment] a segment must have at least 1 token; got {}", length);
}

void Contiguous::add(std::span<const Id> ids) {
  while (!ids.empty()) {
    const auto count = std::min(ids.size(), static_cast<size_t>(length_) - waiting_.size());
    waiting_.insert(waiting_.end(), ids.begin(), ids.begin() + static_cast<int64_t>(count));
    ids = ids.subspan(count);
    if (static_cast<int64_t>(waiting_.size()) == length_) emit();
  }
}

void Contiguous::finish() {
  if (!waiting_.empty()) emit();
}

void Contiguous::emit() {
  const auto count = static_cast<int64_t>(waiting_.size());
  const Segment segment{at::tensor(waiting_, at::kLong).view({1, count}), first_};  // [1,N]
  waiting_.clear();
  first_ += count;
  take_(segment);
}

}  // namespace longview
