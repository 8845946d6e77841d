// A text being read by a model: the state it has reached and what it expects next.
#pragma once

#include "longview/model/transformer.h"

namespace longview {

/// A value, like the state in it: copying it forks the text.
struct Session {
  ModelState state;
  Tensor hidden;           // [1,E] at the last token read; undefined before the first
  uint64_t digest = 0;     // of all tokens read, in order
  std::vector<Id> recent;  // the last tokens, at most kRecent
  static constexpr size_t kRecent = 256;
};

/// Reads one segment (B = 1) and gives its hidden states [T,E].
Tensor advance(const Transformer& model, const Method& method, const Segment& segment, Session& session);

/// Reads a segment of each of several texts as one batch, without looking at what they predict.
void advance(const Transformer& model, const Method& method, std::span<const Segment> segments, std::span<Session> sessions);

/// Reads ids in chunks, without looking at what they predict.
void feed(const Transformer& model, const Method& method, std::span<const Id> ids, int64_t chunk, Session& session);

/// The digest of a session that has read these ids and nothing else.
uint64_t digest_of(std::span<const Id> ids);
/// Reads the next token of each of several texts.
void feed(const Transformer& model, const Method& method, std::span<const Id> ids, std::span<Session> sessions);

/// Logits [V] of the token that follows.
Tensor next_logits(const Transformer& model, const Session& session);
/// Logits [n,V] of the tokens that follow in several texts.
Tensor next_logits(const Transformer& model, std::span<const Session> sessions);

}  // namespace longview
