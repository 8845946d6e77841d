// Blocks by size, newest first; the oldest are given back when too much is kept.
#include "longview/base/allocator.h"

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstdlib>
#include <list>
#include <mutex>
#include <new>
#include <unordered_map>

namespace longview {
namespace {

constexpr size_t kLarge = 1 << 20, kRound = 1 << 16, kMostKept = 96 << 20, kAlignment = 64;

struct Block {
  void* data;
  size_t bytes;
};

class Recycler final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes < kLarge ? small_->raw_allocate(bytes) : take((bytes + kRound - 1) / kRound * kRound);
    return {data, data, &give, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give; }  // oneDNN's scratch memory comes and goes this way
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  static Recycler& instance() {
    static auto* recycler = new Recycler;  // outlives every tensor
    return *recycler;
  }

 private:
  void* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    void* data = nullptr;
    const auto kept = std::find_if(kept_.begin(), kept_.end(), [&](const Block& block) { return block.bytes == bytes; });
    if (kept != kept_.end()) {
      data = kept->data;
      kept_bytes_ -= bytes;
      kept_.erase(kept);
    } else {
      data = std::aligned_alloc(kAlignment, bytes);
    }
    if (data == nullptr) throw std::bad_alloc();
    taken_[data] = bytes;
    return data;
  }

  static void give(void* data) {
    if (data != nullptr && !instance().keep(data)) instance().small_->raw_deallocate(data);
  }

  /// False for memory that is not one of the large blocks.
  bool keep(void* data) {
    const std::lock_guard lock(mutex_);
    const auto found = taken_.find(data);
    if (found == taken_.end()) return false;
    const Block block{data, found->second};
    taken_.erase(found);
    kept_.push_front(block);
    kept_bytes_ += block.bytes;
    while (kept_bytes_ > kMostKept) {
      std::free(kept_.back().data);
      kept_bytes_ -= kept_.back().bytes;
      kept_.pop_back();
    }
    return true;
  }

  c10::Allocator* small_ = c10::GetDefaultCPUAllocator();
  std::mutex mutex_;
  std::list<Block> kept_;
  std::unordered_map<void*, size_t> taken_;  // bytes of the large blocks that tensors hold
  size_t kept_bytes_ = 0;
};

}  // namespace

void recycle_large_tensors() { c10::SetCPUAllocator(&Recycler::instance(), 1); }

}  // namespace longview
