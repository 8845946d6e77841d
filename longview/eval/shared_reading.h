// Texts that begin alike, as the prompts of a recall test do: what they share is read once, and the state forked where they part.
#pragma once

#include "longview/infer/session.h"

namespace longview {

struct SharedReading {
  int64_t chunk = 512;    // tokens read at once, of all texts of a batch together
  int64_t batch = 1;      // texts read together where they share nothing more
  bool is_shared = true;  // false: each text alone, so that one state is kept at a time
  /// Told of the tokens read since the last call; false ends the reading.
  std::function<bool(int64_t)> step = [](int64_t) { return true; };
};

/// Reads every text to its end and hands over its session, in any order. False where `step` ended it. Texts must not be empty.
bool read_all(const Transformer& model, const Method& method, std::span<const std::span<const Id>> texts, const SharedReading& how,
              const std::function<void(size_t, Session)>& done);

/// Tokens that read_all reads: what several share counts once.
int64_t tokens_to_read(std::span<const std::span<const Id>> texts, bool is_shared);

}  // namespace longview
