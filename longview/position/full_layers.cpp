#include "longview/position/full_layers.h"

#include "longview/base/check.h"

namespace longview {

bool FullLayers::has(int64_t layer) const {
  if (is_last) return layer == layers - 1;
  for (int64_t n = 1; n <= full; ++n)
    if (layer == n * layers / (full + 1)) return true;
  return false;
}

std::string FullLayers::text() const { return is_last ? "hwfa" : fmt::format("hwfa2:full={}", full); }

FullLayers FullLayers::between(int64_t layers, int64_t full) {
  LV_CHECK(full >= 1, "[hwfa2] full must be at least 1; got {}", full);
  return {layers, full, false};
}

}  // namespace longview
