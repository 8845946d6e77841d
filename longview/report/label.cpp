// Where labels go so that none covers another.
#include "longview/report/label.h"

#include <algorithm>
#include <numeric>
#include <string_view>

namespace longview {

double text_pixels(std::string_view utf8, double size) {
  double ems = 0;
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) continue;  // not the first byte of a character
    if (byte >= 0xE3) ems += 1.05;        // CJK and beyond
    else if (std::string_view(" .,:;'|!ijlI()[]-ftr").find(c) != std::string_view::npos) ems += 0.42;
    else if (std::string_view("mwMW%@").find(c) != std::string_view::npos) ems += 1.0;
    else if ((c >= 'A' && c <= 'Z') || byte >= 0x80) ems += 0.75;
    else ems += 0.64;
  }
  return ems * size;
}

std::vector<double> spread(const std::vector<double>& wanted, double gap, double low, double high) {
  const size_t count = wanted.size();
  if (count == 0) return {};
  if (count > 1) gap = std::min(gap, std::max(high - low, 0.0) / static_cast<double>(count - 1));
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return wanted[a] < wanted[b]; });

  // Pool adjacent violators on wanted[k] - k * gap: a block of touching labels sits at the mean of what its labels want.
  struct Block {
    double sum;
    size_t size;
    double mean() const { return sum / static_cast<double>(size); }
  };
  std::vector<Block> blocks;
  for (size_t k = 0; k < count; ++k) {
    blocks.push_back({wanted[order[k]] - static_cast<double>(k) * gap, 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean() >= blocks.back().mean()) {
      const Block last = blocks.back();
      blocks.pop_back();
      blocks.back().sum += last.sum;
      blocks.back().size += last.size;
    }
  }
  std::vector<double> placed(count);
  const double top = high - static_cast<double>(count - 1) * gap;
  size_t k = 0;
  for (const Block& block : blocks)
    for (size_t i = 0; i < block.size; ++i, ++k)
      placed[order[k]] = std::clamp(block.mean(), low, std::max(low, top)) + static_cast<double>(k) * gap;
  return placed;
}

std::vector<int> rows_without_overlap(const std::vector<Extent>& extents, double gap) {
  std::vector<size_t> order(extents.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return extents[a].from < extents[b].from; });
  std::vector<double> ends;  // of each row
  std::vector<int> rows(extents.size());
  for (const size_t i : order) {
    size_t row = 0;
    while (row < ends.size() && ends[row] + gap > extents[i].from) ++row;
    if (row == ends.size()) ends.push_back(0);
    ends[row] = extents[i].to;
    rows[i] = static_cast<int>(row);
  }
  return rows;
}

}  // namespace longview
