// Random numbers that are the same on every machine: SplitMix64 (Steele, Lea, Flood 2014) read as a counter.
//   bits(n) = mix(key + (n + 1) * 0x9E3779B97F4A7C15)
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace longview {

/// A stream is its key and how many numbers were drawn; fork() gives streams that share nothing. A value: copies go on alike.
class Random {
 public:
  explicit Random(uint64_t seed) : key_(mix(seed)) {}

  uint64_t bits() { return mix(key_ + ++drawn_ * kStep); }
  /// [0, 1), 53 bits.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// [0, most), each equally often (what would favour small numbers is drawn again); `most` must be at least 1.
  int64_t below(int64_t most) {
    const auto range = static_cast<uint64_t>(most);
    const uint64_t uneven = (0 - range) % range;
    uint64_t drawn = bits();
    while (drawn < uneven) drawn = bits();
    return static_cast<int64_t>(drawn % range);
  }
  /// [from, to], both included.
  int64_t between(int64_t from, int64_t to) { return from + below(to - from + 1); }
  /// One of a list that is not empty, each equally often.
  template <class List>
  const auto& one_of(const List& list) {
    return list[static_cast<size_t>(below(static_cast<int64_t>(list.size())))];
  }
  bool chance(double probability) { return uniform() < probability; }
  /// The stream of that number below this one, whatever was drawn from this one.
  Random fork(uint64_t number) const {
    Random out(*this);
    out.key_ = mix(key_ ^ mix(number + 0x632BE59BD9B4E019));
    out.drawn_ = 0;
    return out;
  }
  /// Fisher and Yates.
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (size_t left = values.size(); left > 1; --left)
      std::swap(values[left - 1], values[static_cast<size_t>(below(static_cast<int64_t>(left)))]);
  }

 private:
  static constexpr uint64_t kStep = 0x9E3779B97F4A7C15;
  static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    return x ^ (x >> 31);
  }
  uint64_t key_, drawn_ = 0;
};

}  // namespace longview
