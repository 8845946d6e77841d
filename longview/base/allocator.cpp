// Blocks by size, newest first; the oldest are given back when too much is kept.
#include "longview/base/allocator.h"

#include <c10/core/CPUAllocator.h>

#include <cstdlib>
#include <list>
#include <mutex>
#include <new>

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
    if (bytes < kLarge) return small_->allocate(bytes);
    auto* block = new Block{nullptr, (bytes + kRound - 1) / kRound * kRound};
    block->data = take(block->bytes);
    return {block->data, block, &give, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  static Recycler& instance() {
    static auto* recycler = new Recycler;  // outlives every tensor
    return *recycler;
  }

 private:
  void* take(size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      for (auto kept = kept_.begin(); kept != kept_.end(); ++kept)
        if (kept->bytes == bytes) {
          void* data = kept->data;
          kept_bytes_ -= bytes;
          kept_.erase(kept);
          return data;
        }
    }
    void* data = std::aligned_alloc(kAlignment, bytes);
    if (data == nullptr) throw std::bad_alloc();
    return data;
  }

  static void give(void* context) {
    auto* block = static_cast<Block*>(context);
    instance().keep(*block);
    delete block;
  }

  void keep(Block block) {
    const std::lock_guard lock(mutex_);
    kept_.push_front(block);
    kept_bytes_ += block.bytes;
    while (kept_bytes_ > kMostKept) {
      std::free(kept_.back().data);
      kept_bytes_ -= kept_.back().bytes;
      kept_.pop_back();
    }
  }

  c10::Allocator* small_ = c10::GetDefaultCPUAllocator();
  std::mutex mutex_;
  std::list<Block> kept_;
  size_t kept_bytes_ = 0;
};

}  // namespace

void recycle_large_tensors() { c10::SetCPUAllocator(&Recycler::instance(), 1); }

}  // namespace longview
