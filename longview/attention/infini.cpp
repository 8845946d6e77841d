// Infini-attention (arXiv:2404.07143): the text in segments of N tokens; a query sees its own segment, and all before it through a
// memory of constant size.   a = g a_memory + (1 - g) a_local,   read before write, from keys and queries that are not rotated.
// Within a segment the memory is frozen; what will be written is summed up beside it, 64 tokens at a time, and joins it at the
// segment's end, so no token is slower than the others and any cut of the text gives the same memory to the bit.
// Two hybrids, ours: `overlap` tokens before the segment stay visible, `sinks` of the text's first tokens always do. A token is
// folded into the memory when it leaves the window, so each one is in exactly one of the three.
#include <array>

#include "longview/attention/kv.h"
#include "longview/attention/layers.h"
#include "longview/attention/methods.h"
#include "longview/attention/scored.h"
#include "longview/kernels/infini_spread.h"

namespace longview {
namespace {

using kernels::Memory;

constexpr int64_t kBlock = 64;  // tokens written at once

struct InfiniConfig {
  int64_t segment = 0, overlap = 0, sinks = 0;
  std::string rule = "linear", features = "elu1", read = "plain", empty = "bypass", memory = "on", layers, others = "window";
  void fields(auto&& field) {
    field("segment", segment, "tokens that are written to the memory together; 0: 2048, or less for a shorter trained length");
    field("overlap", overlap, "tokens before the segment that stay visible");
    field("sinks", sinks, "tokens at the start of the text that stay visible for ever");
    field("rule", rule, "linear, delta (writes what the memory does not say yet) or corrected_delta (and counts only what is new)");
    field("features", features, "elu1 or dpfp");
    field("read", read, "plain or centred");
    field("empty", empty, "bypass: the gate is closed while the memory is empty; scale: it is not");
    field("memory", memory, "on, or off: as if every gate were closed");
    field("layers", layers, "layers that have it: 0-9/20; nothing: all");
    field("others", others, "the other layers: window (as many tokens) or full");
  }
};

/// The value of a name in a list of names; an unknown one is an error that lists them.
template <class Value, size_t N>
Value named(const char* key, const std::string& name, const std::array<std::pair<const char*, Value>, N>& table) {
  std::vector<std::string> known;
  for (const auto& [text, value] : table) {
    if (name == text) return value;
    known.emplace_back(text);
  }
  fail("[infini] {}", unknown_name(key, name, known));
}

kernels::MemoryRules rules_of(const InfiniConfig& c) {
  using namespace kernels;
  using Write = std::pair<const char*, WriteRule>;
  using Map = std::pair<const char*, FeatureMap>;
  using Read = std::pair<const char*, ReadRule>;
  return {named("rule", c.rule,
                std::array{Write{"corrected_delta", WriteRule::corrected_delta}, Write{"delta", WriteRule::delta},
                           Write{"linear", WriteRule::linear}}),
          named("features", c.features, std::array{Map{"dpfp", FeatureMap::dpfp}, Map{"elu1", FeatureMap::elu1}}),
          named("read", c.read, std::array{Read{"centred", ReadRule::centred}, Read{"plain", ReadRule::plain}})};
}

/// Tokens [first, first + count) of one segment, and which tokens of the text are where while they are read.
struct Stretch {
  int64_t first, count;
  int64_t segment;  // where the segment begins
  int64_t local;    // the first token that is seen exactly, besides sinks; all before it are in the memory
  int64_t fold;     // tokens that leave at the segment's end, from `local` on
  int64_t length() const { return first + count - segment; }  // of the segment, after this part
};

struct Infini final : Attention {
  explicit Infini(InfiniConfig config)
      : c(std::move(config)), rules(rules_of(c)), has_memory(c.memory == "on"), layers("infini", c.layers) {
    if (layers.empty()) return;
    others = make_attention(c.others == "full" ? "full" : fmt::format("window:window={}", c.sinks + c.overlap + c.segment));
  }

  const Attention& at(int64_t layer) const override {
    if (layers.empty()) return *this;
    return layers.has(layer) ? *this : *others;
  }

  std::optional<int64_t> bound() const override {
    if (others && !others->bound()) return std::nullopt;
    return view_length();
  }
  bool has_gates() const override { return has_memory; }
  bool knows_documents() const override { return has_memory && c.sinks == 0 && c.overlap == 0; }
  int64_t memory_values(int64_t G, int64_t D) const override {
    return has_memory ? G * kernels::feature_width(D, rules.features) * (D + 1) : 0;
  }

  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    LV_CHECK(
        !has_memory || x.gate.defined(),
        "[infini] this checkpoint has no gates for a memory; longview convert --add-infini gives it some, memory=off does without");
    const int64_t T = x.q.size(2);
    if (T == 0) return {at::empty_like(x.q), std::move(state)};
    std::vector<Tensor> outs;
    // Whole segments at once, after what is left of one that has begun.
    const int64_t begun = segment.first % c.segment == 0 ? 0 : std::min(T, c.segment - segment.first % c.segment);
    const int64_t whole = is_parallel(x, position, segment) ? (T - begun) / c.segment * c.segment : 0;
    LV_CHECK(whole == T || (!segment.write.defined() && !segment.document.defined()),
             "[infini] weights and several texts a row need whole segments of {} tokens from the start of one, an overlap of a "
             "segment at most, sinks that leave it all at once (none for several texts), and plain rotary positions",
             c.segment);
    LV_CHECK(
        segment.spread == nullptr || whole == T,
        "[infini] a text that is spread over ranks needs whole segments of {} tokens on each, no sinks and no overlap, and plain "
        "rotary positions; got {} tokens",
        c.segment, T);
    for (int64_t done = 0; done < T;) {
      const Stretch next = part_at(segment.first + done, T - done);
      const int64_t count = whole > 0 && done == begun ? whole : next.count;
      const auto cut = [&](const Tensor& y) { return longview::part(y, done, count); };
      const Qkv own{cut(x.q), cut(x.k), cut(x.v), x.gate};
      outs.push_back(count == whole ? attend_at_once(own, next.first, position, segment, state)
                                    : read_part(own, position, next, state));
      done += count;
    }
    state.seen = segment.first + T * (segment.spread == nullptr ? 1 : segment.spread->size());
    return {outs.size() == 1 ? outs[0] : at::cat(outs, 2), std::move(state)};
  }

  /// Whether whole segments can be computed at once (kernels/infini.h), as training does, and reading on a GPU.
  bool is_parallel(const Qkv& x, const Position& position, const Segment& segment) const {
    const bool is_training = c10::GradMode::is_enabled() && x.q.requires_grad();
    const bool is_wanted = !x.q.is_cpu() || is_training || segment.spread || segment.write.defined() || segment.document.defined();
    if (!is_wanted || c.overlap > c.segment) return false;
    // Sinks leave the view all at once (kernels/infini.h), and are of one text and one rank.
    if (c.sinks > 0 && (segment.document.defined() || segment.spread != nullptr)) return false;
    if (c.overlap < c.segment && c.sinks > c.segment - c.overlap) return false;
    const Pieces& pieces = position.fused();
    if (!pieces || pieces->size() != 1) return false;
    const Piece& piece = (*pieces)[0];
    return !piece.query.at && !piece.key.at && !piece.bias && !piece.decay.defined() &&
           position.scale(at::arange(view_length(), at::kLong), view_length()).eq(1).all().item<bool>();
  }

  /// Whole segments from token `first` of the text on. Without a memory: the same with closed gates and the rule that costs least.
  Tensor attend_at_once(const Qkv& x, int64_t first, const Position& position, const Segment& segment, State& state) const {
    const Tensor gate =
        has_memory ? x.gate : at::zeros({x.q.size(1)}, x.q.options().dtype(at::kFloat).requires_grad(false));  // [H]
    kernels::InfiniOperands operands{.q = x.q, .k = x.k, .v = x.v, .gate = gate};
    operands.rotation = position.rotation(view_length(), {}, 0, view_length(), x.q.device());
    operands.weight = segment.write, operands.document = segment.document;
    if (const auto M = state.tensors.find("M"); M != state.tensors.end()) {
      const auto n = state.tensors.find("n");  // kept where it is not the number of tokens
      const auto written = static_cast<double>(first - c.overlap - c.sinks);
      operands.memory = {M->second, state.tensors.at("z"),
                         n != state.tensors.end() ? n->second : at::full({x.q.size(0)}, written, M->second.options())};
    }
    if (c.sinks > 0) {
      operands.begun = first;
      if (first > 0) operands.sink_k = state.tensors.at("sink_k"), operands.sink_v = state.tensors.at("sink_v");
    }
    if (c.overlap > 0 && first > 0) {
      operands.k_before = state.tensors.at("k"), operands.v_before = state.tensors.at("v");
      if (operands.k_before.size(2) < c.overlap)  // the rest are sinks
        operands.k_before = at::cat({operands.sink_k, operands.k_before}, 2),
        operands.v_before = at::cat({operands.sink_v, operands.v_before}, 2);
      if (segment.write.defined()) operands.weight = at::cat({state.tensors.at("write"), segment.write}, 1);  // [B,O+T]
    }
    const auto empty = c.empty == "scale" ? kernels::EmptyMemory::scale : kernels::EmptyMemory::bypass;
    const kernels::InfiniRules all{c.segment, c.overlap, has_memory ? rules : kernels::MemoryRules{}, empty, c.sinks};
    kernels::SpreadMemory spread;
    if (segment.spread != nullptr) {
      const auto held = state.tensors.find("document");
      const bool is_known = segment.document.defined() && held != state.tensors.end();
      spread = kernels::spread_memory(operands, all, *segment.spread, is_known ? held->second : Tensor());
      operands.memory = spread.before;
      if (segment.document.defined()) state.tensors["document"] = spread.text;
    } else if (segment.document.defined()) {
      begin_texts(segment.document, operands.memory, state);
    }
    const auto out = kernels::infini(operands, all);
    const Memory& last = segment.spread != nullptr ? spread.after : out.memory;
    keep_view(operands, first, segment, state);
    if (!has_memory || first + x.q.size(2) <= c.overlap + c.sinks) return out.out;  // or nothing has left the view
    state.tensors["M"] = last.M, state.tensors["z"] = last.z;
    if (segment.document.defined() || segment.write.defined()) state.tensors["n"] = last.n;
    return out.out;
  }

  /// Places in view of the last token of a segment.
  int64_t view_length() const { return c.sinks + c.overlap + c.segment; }

  /// The tokens that the next segment sees: the first ones, and the last ones that are not among them.
  void keep_view(const kernels::InfiniOperands& x, int64_t first, const Segment& segment, State& state) const {
    if (c.sinks > 0 && first == 0)
      state.tensors["sink_k"] = x.k.narrow(2, 0, c.sinks).clone(), state.tensors["sink_v"] = x.v.narrow(2, 0, c.sinks).clone();
    if (c.overlap == 0) return;
    const int64_t count = std::min(c.overlap, first + x.q.size(2) - c.sinks);
    state.tensors["k"] = last(x.k, count).clone(), state.tensors["v"] = last(x.v, count).clone();
    if (segment.write.defined()) state.tensors["write"] = x.weight.narrow(1, x.weight.size(1) - c.overlap, c.overlap);
  }

  /// Rows whose first token is of another text than the memory begin with an empty one; `state` keeps whose it is.
  static void begin_texts(const Tensor& document, Memory& memory, State& state) {
    if (const auto held = state.tensors.find("document"); held != state.tensors.end() && memory.M.defined()) {
      const Tensor stays = (held->second == document.select(1, 0)).to(memory.M.scalar_type());  // [B]
      memory.M = memory.M * stays.view({-1, 1, 1, 1}), memory.z = memory.z * stays.view({-1, 1, 1}), memory.n = memory.n * stays;
    }
    state.tensors["document"] = document.select(1, document.size(1) - 1);  // [B]
  }

  State rewound(State state, int64_t count) const override {
    const Stretch now = part_at(state.seen, 1);
    LV_CHECK(count >= 0 && count <= state.seen - now.segment,
             "[infini] cannot go back {} tokens: {} were read since the memory was last written", count, state.seen - now.segment);
    if (count == 0) return state;
    state.seen -= count;
    auto& tensors = state.tensors;
    const auto keep = [&](const char* name, int64_t tokens) {
      if (const auto found = tensors.find(name); found != tensors.end() && tokens <= 0) tensors.erase(found);
      else if (found != tensors.end()) found->second = found->second.narrow(2, 0, std::min(tokens, found->second.size(2)));
    };
    for (const char* name : {"k", "v"}) keep(name, state.seen - now.local);
    for (const char* name : {"sink_k", "sink_v"}) keep(name, state.seen);
    tensors.erase("fold_M"), tensors.erase("fold_z");
    const Stretch all{now.segment, state.seen - now.segment, now.segment, now.local, now.fold};
    if (has_memory) fold(all, memory_of(state, all), state);
    return state;
  }

  Stretch part_at(int64_t first, int64_t most) const {
    const int64_t begin = first / c.segment * c.segment;
    const int64_t local = std::max(c.sinks, begin - c.overlap), next = std::max(c.sinks, begin + c.segment - c.overlap);
    return {first, std::min(most, begin + c.segment - first), begin, local, next - local};
  }

  Tensor read_part(const Qkv& x, const Position& position, const Stretch& part, State& state) const {
    keep(x, part, state);
    Tensor out = scored(x.q, views(part, state), position, part.first + part.count - part.local + c.sinks);  // [B,H,T,D]
    if (!has_memory) {
      if (part.length() == c.segment) drop(part, state);
      return out;
    }
    const Memory memory = memory_of(state, part);
    if (memory.M.defined() || c.empty == "scale") out = mixed(x, out, memory);
    fold(part, memory, state);
    return out;
  }

  void keep(const Qkv& x, const Stretch& part, State& state) const {
    auto& tensors = state.tensors;
    const int64_t sinks = std::clamp<int64_t>(c.sinks - part.first, 0, part.count), rest = part.count - sinks;
    const auto add = [&](const char* name, const Tensor& fresh, int64_t spare) {
      tensors[name] = appended(std::move(tensors[name]), fresh, spare);
    };
    if (sinks > 0) add("sink_k", x.k.narrow(2, 0, sinks), 0), add("sink_v", x.v.narrow(2, 0, sinks), 0);
    if (rest > 0) add("k", x.k.narrow(2, sinks, rest), c.segment), add("v", x.v.narrow(2, sinks, rest), c.segment);
  }

  /// Places count from the first token that is seen, sinks before it.
  std::vector<View> views(const Stretch& part, const State& state) const {
    std::vector<View> out;
    const auto add = [&](const std::string& name, int64_t key, int64_t place, int64_t first) {
      const auto k = state.tensors.find(name + "k");
      if (k == state.tensors.end()) return;
      View view{.k = k->second, .v = state.tensors.at(name + "v"), .from = {}, .to = {}, .query = {}, .key = place, .first = first};
      for (int64_t i = part.first; i < part.first + part.count; ++i) {
        view.from.push_back(0);
        view.to.push_back(std::clamp<int64_t>(i + 1 - key, 0, view.k.size(2)));
        view.query.push_back(i - part.local + c.sinks);
      }
      out.push_back(std::move(view));
    };
    add("sink_", 0, 0, 0);
    add("", part.local, c.sinks, part.local);
    return out;
  }

  Memory memory_of(const State& state, const Stretch& part) const {
    const auto M = state.tensors.find("M");
    if (M == state.tensors.end()) return {};
    return {M->second, state.tensors.at("z"), at::full({1, 1}, static_cast<double>(part.local - c.sinks), M->second.options())};
  }

  Tensor mixed(const Qkv& x, const Tensor& local, const Memory& memory) const {
    if (!memory.M.defined()) return (1 - x.gate.to(local.options()).view({1, -1, 1, 1})) * local;
    return kernels::memory_mix(x.q, x.gate, memory, local, rules);  // [B,H,T,D]
  }

  /// Blocks of the tokens to fold that are written once so much of the segment was read.
  int64_t blocks(const Stretch& part, int64_t length) const {
    if (length == c.segment) return (part.fold + kBlock - 1) / kBlock;
    const int64_t there = std::min(length, part.segment + length - part.local);
    return std::clamp<int64_t>(there / kBlock, 0, part.fold / kBlock);
  }

  /// Sums up what the segment will have written, as far as it was read; at its end the sum joins the memory.
  void fold(const Stretch& part, const Memory& memory, State& state) const {
    auto& tensors = state.tensors;
    const int64_t begun = blocks(part, part.length() - part.count), done = blocks(part, part.length());
    if (begun == done && part.length() < c.segment) return;
    if (begun < done) {
      const int64_t first = begun * kBlock, count = std::min(done * kBlock, part.fold) - first;
      const bool is_begun = tensors.contains("fold_M");
      const Memory before = is_begun ? Memory{tensors["fold_M"], tensors["fold_z"], {}} : Memory{};
      const Memory sum = kernels::memory_fold(tensors.at("k").narrow(2, first, count), tensors.at("v").narrow(2, first, count),
                                              kBlock, memory, before, rules);
      tensors["fold_M"] = sum.M, tensors["fold_z"] = sum.z;  // [B,G,F,D] [B,G,F]
    }
    if (part.length() < c.segment) return;
    if (part.fold > 0) {
      tensors["M"] = memory.M.defined() ? memory.M + tensors["fold_M"] : tensors["fold_M"];
      tensors["z"] = memory.z.defined() ? memory.z + tensors["fold_z"] : tensors["fold_z"];
      tensors.erase("fold_M"), tensors.erase("fold_z");
    }
    drop(part, state);
  }

  static void drop(const Stretch& part, State& state) {
    for (const char* name : {"k", "v"}) {
      const auto found = state.tensors.find(name);
      if (found == state.tensors.end()) continue;
      const int64_t rest = found->second.size(2) - part.fold;
      if (rest == 0) state.tensors.erase(found);
      else found->second = last(found->second, rest);
    }
  }

  InfiniConfig c;
  kernels::MemoryRules rules;
  bool has_memory;
  LayerRanges layers;  // empty: all
  std::shared_ptr<const Attention> others;
};

std::shared_ptr<const Attention> make(InfiniConfig usual, bool is_overlapping, const Setting& setting, const Rotary& rotary) {
  auto c = with_values(std::move(usual), setting);
  const int64_t room = rotary.trained_length - c.sinks;
  if (!setting.values.contains("segment"))
    c.segment = std::max<int64_t>(1, std::min<int64_t>(2048, is_overlapping ? room / 2 : room));
  if (is_overlapping && !setting.values.contains("overlap")) c.overlap = c.segment;
  LV_CHECK(c.segment >= 1, "[{}] segment must be at least 1; got {}", setting.name, c.segment);
  LV_CHECK(c.overlap >= 0 && c.sinks >= 0, "[{}] overlap and sinks must not be negative; got {} and {}", setting.name, c.overlap,
           c.sinks);
  LV_CHECK(c.sinks + c.overlap + c.segment <= rotary.trained_length,
           "[{}] {} sinks, {} tokens of overlap and a segment of {} are more than the {} tokens that the model was trained for",
           setting.name, c.sinks, c.overlap, c.segment, rotary.trained_length);
  LV_CHECK(c.sinks < c.segment, "[{}] sinks must be fewer than the {} tokens of a segment; got {}", setting.name, c.segment,
           c.sinks);
  LV_CHECK(c.empty == "bypass" || c.empty == "scale", "[{}] empty must be bypass or scale; got '{}'", setting.name, c.empty);
  LV_CHECK(c.memory == "on" || c.memory == "off", "[{}] memory must be on or off; got '{}'", setting.name, c.memory);
  LV_CHECK(c.others == "window" || c.others == "full", "[{}] others must be window or full; got '{}'", setting.name, c.others);
  return made<Infini>(setting.name, c);
}

}  // namespace

std::shared_ptr<const Attention> make_infini(const Setting& setting, const Rotary& rotary) {
  return make({}, false, setting, rotary);
}
std::shared_ptr<const Attention> make_infini_overlap(const Setting& setting, const Rotary& rotary) {
  return make({}, true, setting, rotary);
}
std::shared_ptr<const Attention> make_infini_streaming(const Setting& setting, const Rotary& rotary) {
  InfiniConfig usual;
  usual.sinks = 4;
  return make(usual, true, setting, rotary);
}

}  // namespace longview
