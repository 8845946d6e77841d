// Which layers of a hybrid see everything; the others have a window. What its attention and its position must agree on.
#pragma once

#include <cstdint>
#include <string>

namespace longview {

struct FullLayers {
  int64_t layers = 1, full = 1;
  bool is_last = true;

  /// The last one (kexue.fm/archives/9603).
  static FullLayers last(int64_t layers) { return {layers, 1, true}; }
  /// `full` of them at n * layers / (full + 1) (kexue.fm/archives/9731).
  static FullLayers between(int64_t layers, int64_t full);

  bool has(int64_t layer) const;
  /// "hwfa" or "hwfa2:full=2"
  std::string text() const;
};

}  // namespace longview
