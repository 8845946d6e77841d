// From "what may be seen" and a position method to the attention kernel: the step every softmax method shares.
#pragma once

#include "longview/attention/attention.h"

namespace longview {

/// Keys that a method lets its queries see, with their positions inside the cache.
struct View {
  Tensor k, v;                        // [B,G,Tk,D], not rotated
  std::vector<int64_t> from, to;      // [T]: query t sees the keys from[t] <= x < to[t]
  std::vector<int64_t> query;         // [T]: position of query t as these keys count
  int64_t key = 0;                    // position of key 0; the others follow
  std::vector<int64_t> keys{};        // [Tk]: positions of keys that do not follow each other, rising; empty: they do
  int64_t first = 0;                  // index of key 0 in the text
  std::optional<int64_t> distance{};  // all keys look that far away, wherever they and the queries stand
};

/// The view of a window that slides: k and v are the last keys of the text, T queries begin at `first`, each sees its last `seen` tokens
/// but none before `least`. Positions count from `window` tokens before the queries: only differences matter.
View sliding_view(const Tensor& k, const Tensor& v, int64_t first, int64_t T, int64_t window, int64_t seen, int64_t least);

/// softmax over the union of the views -> [B,H,T,D]. `length` is how many positions are in use, for methods that follow it.
/// Runs the kernels when position.fused() allows, else the definition in blocks of queries.
Tensor scored(const Tensor& q, const std::vector<View>& views, const Position& position, int64_t length);

/// The definition alone, from the position's hooks, in the dtype of q: what fused forms are tested against.
Tensor scored_by_definition(const Tensor& q, const std::vector<View>& views, const Position& position, int64_t length);

}  // namespace longview
