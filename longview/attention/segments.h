// A text in aligned segments of N tokens, each of which sees itself and what the ones before it left: the shape of Transformer-XL and of
// what came after it. Where a segment begins depends on the text alone, so results do not depend on how it is cut.
#pragma once

#include "longview/attention/attention.h"

namespace longview {

/// What the tokens of a segment see beside their own, oldest first: `slots` that stand for `rate` tokens each, and the `memory` tokens
/// right before the segment.
struct SegmentCache {
  int64_t segment = 0, memory = 0, slots = 0, rate = 1;
  bool is_stopped = true;  // gradients do not go past the segment

  int64_t begin(int64_t token) const { return token / segment * segment; }
  /// Slots there are in the segment that begins there, from the first of the text on; `slots` of them are kept.
  int64_t written(int64_t begin) const { return slots == 0 ? 0 : std::max<int64_t>(begin - memory, 0) / rate; }
  int64_t places() const { return slots * rate + memory + segment; }  // positions in use
};

/// Keys and values of the text [B,G,n,D] from number `first` on.
struct Kept {
  Tensor k, v;
  int64_t first = 0;
};

/// Queries [B,H,T,D] from token `first` of the text on -> [B,H,T,D]. `recent` ends with the queries' own tokens and reaches back to the
/// memory of the first; `slots` (undefined: there are none yet) has what any of them sees. Whole segments that see equally much are
/// rows of one call.
Tensor attended_in_segments(const Tensor& q, int64_t first, const Kept& recent, const Kept& slots, const SegmentCache& cache,
                            const Position& position);

/// Appends the keys and values to the state's "k" and "v"; what is kept there now.
Kept remembered(const Qkv& x, int64_t first, const SegmentCache& cache, State& state);

/// Leaves in the state what the next token may look back at: the unfinished segment and `tokens` before it. Sets state.seen.
void forget(const SegmentCache& cache, int64_t tokens, int64_t seen, State& state);

/// The state `count` tokens ago, which must lie in the unfinished segment.
State rewound_in_segment(const SegmentCache& cache, std::string_view name, State state, int64_t count);

/// The segment where none is asked for: 2048 tokens, or less where `parts` of them would not fit into the trained length.
int64_t usual_segment(int64_t trained_length, int64_t parts);

/// Throws on settings that make no sense for a model of that trained length; `gradient` is "stop" or "through".
void check_segments(std::string_view name, const SegmentCache& cache, const std::string& gradient, int64_t trained_length);
inline constexpr const char* kGradientHelp = "through a memory of earlier segments: stop (the paper's) or through";

}  // namespace longview
