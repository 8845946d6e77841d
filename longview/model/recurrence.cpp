// A memory in the model's own stream (attention/recurrent_memory.cpp): what its attention method calls a text is, segment by segment,
// the m vectors that are read, N tokens, and the m vectors that are written. They are read when a segment begins and written as soon
// as it is full, so the state between two segments is the vectors alone, and a token inside is read like any other.
#include "longview/attention/texts.h"
#include "longview/kernels/elementwise.h"
#include "longview/model/transformer.h"

namespace longview {
namespace {

constexpr const char* kMemory = "memory";  // [B,m,E] in the first layer's state

void set_seen(ModelState& state, int64_t seen) {
  for (auto& layer : state.layers) layer.seen = seen;
}

}  // namespace

Forward Transformer::recurrent(const Segment& segment, const Method& method, ModelState state, bool recompute) const {
  if (!segment.texts.empty()) return recurrent_texts(segment, method, recompute);
  const Recurrence& r = *method.attention->recurrence();
  const int64_t B = segment.ids.size(0), T = segment.ids.size(1), N = r.segment, m = r.first.size(0);
  if (T == 0) return {embedded(segment.ids), std::move(state)};
  auto& kept = state.layers.front().tensors;
  Tensor memory = kept.contains(kMemory) ? kept.at(kMemory) : r.first.to(device_).expand({B, m, -1});  // [B,m,E]
  kept.erase(kMemory);
  const Tensor x = embedded(segment.ids);  // [B,T,E]
  const at::ScalarType type = kernels::type_of(head()).value_or(at::kFloat);
  std::vector<Tensor> hidden;
  for (int64_t done = 0; done < T;) {
    const int64_t at = segment.first + done, offset = at % N, count = std::min(T - done, N - offset);
    const bool begins = offset == 0, ends = offset + count == N;
    std::vector<Tensor> parts{x.narrow(1, done, count)};
    if (begins) parts.insert(parts.begin(), memory);
    if (ends) parts.push_back(memory);
    const Segment stretched{.ids = {}, .first = at / N * (N + 2 * m) + (begins ? 0 : m + offset)};
    set_seen(state, stretched.first);
    const Tensor y = through_layers(at::cat(parts, 1), stretched, method, state, recompute);  // [B,parts,E]
    const Tensor out = kernels::rms_norm(y, norm_, config_.norm_epsilon);
    hidden.push_back(out.narrow(1, begins ? m : 0, count).to(type));
    if (ends) memory = out.narrow(1, out.size(1) - m, m);
    done += count;
  }
  set_seen(state, segment.first + T);
  state.layers.front().tensors[kMemory] = memory.clone(at::MemoryFormat::Contiguous);
  return {at::cat(hidden, 1), std::move(state)};
}

/// Each text from the memory that a text begins with; 0 where there is none.
Forward Transformer::recurrent_texts(const Segment& segment, const Method& method, bool recompute) const {
  const Tensor hidden = each_text(segment.texts, segment.ids.size(0), segment.ids.size(1), 1, [&](const TextSpan& text) {
    const Segment alone{segment.ids.narrow(0, text.row, 1).narrow(1, text.first, text.count)};
    return forward(alone, method, {}, recompute).hidden;  // [1,count,E]
  });                                                     // [B,T,E]
  ModelState state;
  state.layers.resize(static_cast<size_t>(config_.layers));
  return {hidden, std::move(state)};
}

}  // namespace longview
