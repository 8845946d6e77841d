// Stepping a model through a text.
#include "longview/infer/session.h"

#include "longview/segment/contiguous.h"

namespace longview {
namespace {

// FNV-1a over the ids' bytes: order matters, and it can go on from any point.
uint64_t digest_with(uint64_t digest, Id id) {
  constexpr uint64_t kBasis = 14695981039346656037ULL, kPrime = 1099511628211ULL;
  uint64_t out = digest == 0 ? kBasis : digest;
  for (int shift = 0; shift < 32; shift += 8) out = (out ^ (static_cast<uint32_t>(id) >> shift & 255)) * kPrime;
  return out;
}

/// What a session is after a segment: hidden [T,E].
void remember(const Segment& segment, const Tensor& hidden, ModelState state, Session& session) {
  session.state = std::move(state);
  if (hidden.size(0) == 0) return;
  session.hidden = hidden.narrow(0, hidden.size(0) - 1, 1).clone();
  const Tensor ids = segment.ids.contiguous();  // [1,T]
  const auto* id = ids.data_ptr<int64_t>();
  for (int64_t t = 0; t < segment.ids.size(1); ++t) {
    session.digest = digest_with(session.digest, static_cast<Id>(id[t]));
    session.recent.push_back(static_cast<Id>(id[t]));
  }
  if (session.recent.size() > Session::kRecent)
    session.recent.erase(session.recent.begin(), session.recent.end() - static_cast<int64_t>(Session::kRecent));
}

}  // namespace

Tensor advance(const Transformer& model, const Method& method, const Segment& segment, Session& session) {
  Shapes("advance")("ids", segment.ids, "1 T");
  auto out = model.forward(segment, method, std::move(session.state));
  remember(segment, out.hidden[0], std::move(out.state), session);
  return out.hidden[0];  // [T,E]
}

void advance(const Transformer& model, const Method& method, std::span<const Segment> segments, std::span<Session> sessions) {
  LV_CHECK(segments.size() == sessions.size(), "[advance] {} segments and {} sessions", segments.size(), sessions.size());
  std::vector<ModelState> states;
  for (auto& session : sessions) states.push_back(std::move(session.state));
  std::vector<Segment> only_last(segments.begin(), segments.end());
  for (auto& segment : only_last) segment.only_last = true;
  auto out = model.forward(only_last, method, std::move(states));
  for (size_t n = 0; n < out.size(); ++n) remember(segments[n], out[n].hidden[0], std::move(out[n].state), sessions[n]);
}

void feed(const Transformer& model, const Method& method, std::span<const Id> ids, int64_t chunk, Session& session) {
  Contiguous cut(chunk, session.state.seen(), [&](Segment segment) {
    segment.only_last = true;
    advance(model, method, segment, session);
  });
  cut.add(ids);
  cut.finish();
}

uint64_t digest_of(std::span<const Id> ids) {
  uint64_t out = 0;
  for (const Id id : ids) out = digest_with(out, id);
  return out;
}

void feed(const Transformer& model, const Method& method, std::span<const Id> ids, std::span<Session> sessions) {
  LV_CHECK(ids.size() == sessions.size(), "[feed] {} tokens and {} sessions", ids.size(), sessions.size());
  std::vector<Segment> segments;
  for (size_t n = 0; n < ids.size(); ++n)
    segments.push_back({at::full({1, 1}, static_cast<int64_t>(ids[n]), at::kLong), sessions[n].state.seen()});
  advance(model, method, segments, sessions);
}

Tensor next_logits(const Transformer& model, const Session& session) {
  LV_CHECK(session.hidden.defined(), "[generate] nothing was read yet, so there is nothing to continue; give a prompt");
  return model.logits(session.hidden)[0];  // [V]
}

Tensor next_logits(const Transformer& model, std::span<const Session> sessions) {
  std::vector<Tensor> hidden;
  for (const auto& session : sessions) {
    LV_CHECK(session.hidden.defined(), "[generate] one of the texts is empty, so there is nothing to continue");
    hidden.push_back(session.hidden);
  }
  return model.logits(at::cat(hidden));  // [n,V]
}

}  // namespace longview
