// Random numbers that are the same everywhere and whose state is one number (SplitMix64, Steele and others 2014).
#pragma once

#include <cmath>
#include <cstdint>

namespace longview {

struct Random {
  uint64_t state = 0;

  uint64_t bits() {
    uint64_t z = state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  double real() { return static_cast<double>(bits() >> 11) * 0x1p-53; }  // [0,1)
  /// From `least` to `most`, both included.
  int64_t between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(real() * static_cast<double>(most - least + 1));
  }
  bool chance(double share) { return real() < share; }
};

}  // namespace longview
