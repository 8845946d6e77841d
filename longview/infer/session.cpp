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

}  // namespace

Tensor advance(const Transformer& model, const Method& method, const Segment& segment, Session& session) {
  Shapes("advance")("ids", segment.ids, "1 T");
  auto out = model.forward(segment, method, std::move(session.state));
  session.state = std::move(out.state);
  const Tensor hidden = out.hidden[0];  // [T,E]
  if (hidden.size(0) == 0) return hidden;
  session.hidden = hidden.narrow(0, hidden.size(0) - 1, 1).clone();
  const Tensor ids = segment.ids.contiguous();  // [1,T]
  const auto* id = ids.data_ptr<int64_t>();
  for (int64_t t = 0; t < segment.ids.size(1); ++t) {
    session.digest = digest_with(session.digest, static_cast<Id>(id[t]));
    session.recent.push_back(static_cast<Id>(id[t]));
  }
  if (session.recent.size() > Session::kRecent)
    session.recent.erase(session.recent.begin(), session.recent.end() - static_cast<int64_t>(Session::kRecent));
  return hidden;
}

void feed(const Transformer& model, const Method& method, std::span<const Id> ids, int64_t chunk, Session& session) {
  Contiguous cut(chunk, session.state.seen(), [&](const Segment& segment) { advance(model, method, segment, session); });
  cut.add(ids);
  cut.finish();
}

uint64_t digest_of(std::span<const Id> ids) {
  uint64_t out = 0;
  for (const Id id : ids) out = digest_with(out, id);
  return out;
}

Tensor next_logits(const Transformer& model, const Session& session) {
  LV_CHECK(session.hidden.defined(), "[generate] nothing was read yet, so there is nothing to continue; give a prompt");
  return model.logits(session.hidden)[0];  // [V]
}

}  // namespace longview
