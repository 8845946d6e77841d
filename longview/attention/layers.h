// Layers by their numbers, as settings write them: "0-9/20".
#pragma once

#include "longview/base/fields.h"

namespace longview {

class LayerRanges {
 public:
  LayerRanges() = default;
  /// Throws "[method] layers must be like 0-9/20; got '...'"; "" is none.
  LayerRanges(std::string_view method, const std::string& text) {
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('/', begin), text.size());
      const std::string range = text.substr(begin, end - begin);
      const size_t dash = range.find('-');
      const int64_t first = to_int(method, "layers", range.substr(0, dash));
      const int64_t last = dash == std::string::npos ? first : to_int(method, "layers", range.substr(dash + 1));
      LV_CHECK(first >= 0 && first <= last, "[{}] layers must be like 0-9/20; got '{}'", method, text);
      ranges_.emplace_back(first, last);
      begin = end + 1;
    }
  }
  bool empty() const { return ranges_.empty(); }
  bool has(int64_t layer) const {
    return std::any_of(ranges_.begin(), ranges_.end(), [&](auto range) { return layer >= range.first && layer <= range.second; });
  }

 private:
  std::vector<std::pair<int64_t, int64_t>> ranges_;  // first and last of each
};

}  // namespace longview
