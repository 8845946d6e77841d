// Working memory that encode needs while it runs: taken from a pool and given back, so one tokenizer serves several threads.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace longview {

template <class T>
class Pool {
 public:
  /// One T, which goes back to the pool when the pointer goes; the pool must outlive it.
  auto take() const {
    std::unique_ptr<T> one;
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        one = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    if (!one) one = std::make_unique<T>();
    const auto give_back = [this](T* used) {
      const std::lock_guard lock(mutex_);
      idle_.emplace_back(used);
    };
    return std::unique_ptr<T, decltype(give_back)>(one.release(), give_back);
  }

 private:
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<T>> idle_;
};

}  // namespace longview
