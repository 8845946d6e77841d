#include "longview/kernels/bands.h"

#include <algorithm>

namespace longview::kernels {
namespace {

constexpr int64_t kLeast = 64;  // queries of a block

/// Queries [row, row + rows) with the keys that any of them sees.
Band block_at(const KeySet& set, int64_t row, int64_t rows) {
  int64_t least = set.k.size(2), most = 0;
  for (int64_t t = row; t < row + rows; ++t)
    if (set.from[t] < set.to[t]) least = std::min(least, set.from[t]), most = std::max(most, set.to[t]);
  return most == 0 ? Band{row, rows, 0, 0} : Band{row, rows, least, most - least};
}

/// Whether block b is to its keys what block a, right before it, is to its own.
bool is_like(const KeySet& set, const Band& a, const Band& b) {
  if (b.rows != a.rows || b.keys != a.keys || b.key != a.key + a.rows) return false;
  for (int64_t t = b.row; t < b.row + b.rows; ++t)
    if (set.from[t] != set.from[t - a.rows] + a.rows || set.to[t] != set.to[t - a.rows] + a.rows) return false;
  return true;
}

}  // namespace

Tensor stretches(const Tensor& x, int64_t first, int64_t width, int64_t step, int64_t count) {
  if (count == 1) return width == x.size(2) ? x : x.narrow(2, first, width);
  const int64_t B = x.size(0), G = x.size(1), D = x.size(3);
  const Tensor all = x.narrow(2, first, (count - 1) * step + width).unfold(2, width, step);  // [B,G,S,D,width]
  return all.permute({0, 2, 1, 4, 3}).reshape({B * count, G, width, D});
}

Tensor end_to_end(const Tensor& x, int64_t count) {
  if (count == 1) return x;
  const int64_t B = x.size(0) / count, H = x.size(1), N = x.size(2), D = x.size(3);
  return x.view({B, count, H, N, D}).transpose(1, 2).reshape({B, H, count * N, D});
}

std::vector<Band> bands_of(const KeySet& set) {
  const auto T = static_cast<int64_t>(set.from.size());
  int64_t widest = 0;
  for (int64_t t = 0; t < T; ++t) widest = std::max(widest, set.to[t] - set.from[t]);
  const int64_t rows = (std::max<int64_t>(widest, 1) + kLeast - 1) / kLeast * kLeast;
  if (T <= 2 * rows) return {{0, T, 0, set.k.size(2)}};
  std::vector<Band> bands;
  Band last{};
  for (int64_t row = 0; row < T; row += rows) {
    const Band block = block_at(set, row, std::min(rows, T - row));
    if (row > 0 && is_like(set, last, block)) ++bands.back().count;
    else bands.push_back(block);
    last = block;
  }
  return bands;
}

}  // namespace longview::kernels
