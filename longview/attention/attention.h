// The contract of an attention method: what a layer may look back at, and what it carries on.
#pragma once

#include "longview/base/registry.h"
#include "longview/flow.h"
#include "longview/position/position.h"

namespace longview {

/// Queries, keys and values of one layer, not rotated: q [B,H,T,D], k and v [B,G,T,D]; for a memory g [H], undefined without one.
struct Qkv {
  Tensor q, k, v, gate = {};
};

struct Attended {
  Tensor out;   // [B,H,T,D]
  State state;  // to be passed in with the next segment
};

/// A memory in the model's own stream: m vectors before and behind each segment of the text (model/recurrence.cpp).
struct Recurrence {
  int64_t segment = 0;  // N
  Tensor first;         // [m,E] what the first segment reads
};

class Attention {
 public:
  virtual ~Attention() = default;
  /// Attends T new tokens, the first of them at position segment.first == state.seen. An empty State begins a text.
  virtual Attended attend(const Qkv& qkv, const Position& position, const Segment& segment, State state) const = 0;
  /// The state as it was `count` tokens ago. Throws where those before them are no longer there: full attention can always go back,
  /// Infini-attention to the beginning of its segment.
  virtual State rewound(State state, int64_t count) const;
  /// The method of one layer, where layers differ.
  virtual const Attention& at(int64_t /*layer*/) const { return *this; }
  /// The layers of a hybrid, whose position must have the same (Position::hybrid); "": all layers are alike, or no matter.
  virtual std::string hybrid() const { return ""; }
  /// Whether it keeps the texts of a row apart by Segment::document; any method can by Segment::texts, which takes a call a text.
  virtual bool knows_documents() const { return false; }
  /// Most tokens the state ever keeps; none: it grows with the text.
  virtual std::optional<int64_t> bound() const = 0;
  /// f32 values of a memory beside those tokens, in a layer of G key heads of width D; while it is written, as many again.
  virtual int64_t memory_values(int64_t /*G*/, int64_t /*D*/) const { return 0; }
  /// Whether a memory is mixed in by the model's gates, Qkv::gate.
  virtual bool has_gates() const { return false; }
  /// None: the model's stream is the text.
  virtual const Recurrence* recurrence() const { return nullptr; }
  /// What is trained with the model and held by a checkpoint as "model.attention.NAME"; Rotary::values has it.
  virtual std::vector<LearnedValue> learned() const { return {}; }
  std::string setting;  // "streaming:window=1024,sinks=4": the method and all its values, as make_attention understands them
};

/// A method with its setting written down.
template <class Method, class Config>
std::shared_ptr<const Attention> made(std::string_view name, const Config& config) {
  auto method = std::make_shared<Method>(config);
  method->setting = setting_text(name, field_texts(config));
  return method;
}

using MakeAttention = std::shared_ptr<const Attention> (*)(const Setting&, const Rotary&);
using AttentionEntry = Entry<MakeAttention>;
std::span<const AttentionEntry> attentions();

/// "streaming:window=1024,sinks=4" -> the method; an unknown name or setting is an error that lists the known ones.
std::shared_ptr<const Attention> make_attention(std::string_view setting, const Rotary& rotary = {});

/// Why the two do not go together; "": they do.
std::string refusal(const Attention& attention, const Position& position);

}  // namespace longview
