// Byte-pair merging (Sennrich et al., arXiv:1508.07909) of one piece in n log n: a linked list of symbols and a heap of the pairs
// that could be merged, the best (lowest rank) first, of equal ones the leftmost. Also the cache of merged pieces.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "longview/base/check.h"
#include "longview/text/tokenizer.h"

namespace longview {

/// What merging two neighbours would give.
struct Merge {
  uint32_t rank = 0;
  Id id = -1;
};

class Merger {
 public:
  /// A run of the piece: the token it is (-1 if none), where it starts and its size, in bytes.
  struct Symbol {
    Id id = -1;
    uint32_t begin = 0, size = 0;
    uint32_t previous = 0, next = 0;
  };

  void clear() { symbols_.clear(); }
  void add(Id id, size_t size) {
    const auto at = static_cast<uint32_t>(symbols_.size());
    const uint32_t begin = at == 0 ? 0 : symbols_.back().begin + symbols_.back().size;
    LV_CHECK(begin + size < kNone, "[tokenizer] a piece of the text is longer than 4 GB; break it with spaces or lines");
    symbols_.push_back({id, begin, static_cast<uint32_t>(size), at - 1, at + 1});
  }

  /// Merges until `find` (left symbol, right symbol to optional Merge) finds nothing more.
  template <class Find>
  void merge(const Find& find) {
    heap_.clear();
    if (symbols_.empty()) return;
    symbols_.front().previous = symbols_.back().next = kNone;
    for (uint32_t left = 0; left + 1 < symbols_.size(); ++left) consider(left, left + 1, find);
    std::make_heap(heap_.begin(), heap_.end(), later);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      const Pair best = heap_.back();
      heap_.pop_back();
      Symbol& left = symbols_[best.left];
      // Symbols only grow, so a pair whose sizes still add up has not changed.
      if (left.size == 0 || left.next != best.right || left.size + symbols_[best.right].size != best.size) continue;
      join(best);
      if (left.previous != kNone && consider(left.previous, best.left, find)) std::push_heap(heap_.begin(), heap_.end(), later);
      if (left.next != kNone && consider(best.left, left.next, find)) std::push_heap(heap_.begin(), heap_.end(), later);
    }
  }

  /// Calls `visit` with every symbol that is left, in order.
  template <class Visit>
  void each(const Visit& visit) const {
    if (symbols_.empty()) return;
    for (uint32_t at = 0; at != kNone; at = symbols_[at].next) visit(symbols_[at]);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Pair {
    uint32_t rank, left, right, size;
    Id id;
  };
  static bool later(const Pair& a, const Pair& b) { return a.rank != b.rank ? a.rank > b.rank : a.left > b.left; }

  template <class Find>
  bool consider(uint32_t left, uint32_t right, const Find& find) {
    const std::optional<Merge> merge = find(symbols_[left], symbols_[right]);
    if (merge) heap_.push_back({merge->rank, left, right, symbols_[left].size + symbols_[right].size, merge->id});
    return merge.has_value();
  }

  void join(const Pair& pair) {
    Symbol& left = symbols_[pair.left];
    Symbol& right = symbols_[pair.right];
    left.id = pair.id;
    left.size = pair.size;
    left.next = right.next;
    right.size = 0;
    if (left.next != kNone) symbols_[left.next].previous = pair.left;
  }

  std::vector<Symbol> symbols_;
  std::vector<Pair> heap_;
};

/// Ids of short pieces met before; of fixed size, a newer piece replaces an older one of the same hash.
class PieceCache {
 public:
  static constexpr size_t kLongest = 27, kMost = 8;  // bytes and ids of an entry, which then fills a cache line

  /// Ids of `piece`, or nothing.
  std::optional<std::span<const Id>> find(std::string_view piece) const {
    if (piece.size() > kLongest) return std::nullopt;
    const Entry& entry = entries_[slot(piece)];
    if (entry.size != piece.size() || std::memcmp(entry.bytes, piece.data(), piece.size()) != 0) return std::nullopt;
    return std::span<const Id>(entry.ids, entry.count);
  }
  void keep(std::string_view piece, std::span<const Id> ids) {
    if (piece.empty() || piece.size() > kLongest || ids.size() > kMost) return;
    Entry& entry = entries_[slot(piece)];
    entry.size = static_cast<uint8_t>(piece.size());
    entry.count = static_cast<uint8_t>(ids.size());
    std::memcpy(entry.bytes, piece.data(), piece.size());
    std::copy(ids.begin(), ids.end(), entry.ids);
  }

 private:
  struct Entry {
    uint8_t size = 0, count = 0;
    char bytes[kLongest];
    Id ids[kMost];
  };
  static size_t slot(std::string_view piece) { return std::hash<std::string_view>{}(piece) % kEntries; }

  static constexpr size_t kEntries = 1 << 15;  // 2 MB
  std::vector<Entry> entries_ = std::vector<Entry>(kEntries);
};

}  // namespace longview
