// What the laws run over: every registered method with settings that matter in short texts, small odd shapes, and texts fed in any
// cuts through one layer's attention.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <numeric>

#include "longview/attention/attention.h"

namespace longview::testing {

constexpr int64_t kTrained = 50;  // trained length of the cases: shorter than their texts

/// Settings under test: each registered name on its own and those listed for it. (A bare attention has a window longer than the
/// texts: it must be listed, or the law on state bytes never sees it full.)
inline std::vector<std::string> position_settings() {
  std::vector<std::string> out;
  for (const auto& entry : positions()) out.emplace_back(entry.name);
  for (const char* more : {"dynamic:factor=2",
                           "yarn:factor=8,ramp=paper",
                           "llama3:original=50",
                           "linear:factor=1.5",
                           "rope:base=500000",
                           "resonance:over=rope",
                           "resonance:over=ntk,factor=2",
                           "ntk_mixed:power=1",
                           "longrope:long=7,short=1.5",
                           "rerope:window=20",
                           "leaky_rerope:window=9,factor=3",
                           "self_extend:window=10,group=3",
                           "self_extend:window=10,group=3,shift=real",
                           "dual_chunk:chunk=12,limit=20",
                           "rerope:window=16,logn=clipped",
                           "rope:logn=trained,temperature=4",
                           "kerple:kind=power",
                           "alibi:logn=clipped",
                           "t5:buckets=8,distance=20",
                           "fire:threshold=30,hidden=5,temperature=2",
                           "xpos:scale_base=40",
                           "nope:logn=trained",
                           "hwfa2:full=1,window=20"})
    out.emplace_back(more);
  return out;
}

/// The method for heads of a shape, where it learns something with values as training might leave them.
inline std::shared_ptr<const Position> position_of(const std::string& setting, Rotary rotary) {
  auto out = make_position(setting, rotary);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(11);
  for (const auto& value : out->learned()) {
    const Tensor change = at::randn(value.initial.sizes(), generator, at::TensorOptions(at::kFloat));
    rotary.values[value.name] =
        value.initial * (1 + 0.1 * change) + (value.initial.abs().max().item<float>() == 0 ? change : 0 * change);
  }
  return rotary.values.empty() ? out : make_position(setting, rotary);
}

/// Methods that look only at differences of positions, whose limits and shifts are the same everywhere.
inline bool is_shiftable(const Position& method) {
  const Tensor i = at::arange(300, at::kLong), scale = method.scale(i, 300);
  return method.anchor().empty() && at::equal(scale, scale[0].expand_as(scale));
}

inline std::vector<std::string> attention_settings() {
  std::vector<std::string> out;
  for (const auto& entry : attentions()) out.emplace_back(entry.name);
  for (const char* more : {"window:window=37",
                           "window:window=1",
                           "streaming:window=40",
                           "streaming:window=33,sinks=0",
                           "streaming:window=9,sinks=8",
                           "lm_infinite:window=20,globals=3,cap=30",
                           "lm_infinite:window=16,globals=0,cap=16",
                           "infini:segment=16",
                           "infini:segment=16,rule=delta,read=centred",
                           "infini:segment=7,rule=corrected_delta,features=dpfp,empty=scale",
                           "infini:segment=20,memory=off",
                           "infini_overlap:segment=16,overlap=9",
                           "infini_streaming:segment=10,rule=delta",
                           "hwfa2:full=1",
                           "transformer_xl:segment=16,memory=9",
                           "compressive:segment=6,memory=3,compressed=4,rate=3,function=max",
                           "compressive:segment=8,memory=4,compressed=6,rate=2,function=conv",
                           "memorizing:segment=8,cache=5,memory=20,top=3",
                           "memorizing:segment=16,cache=0,memory=0,top=5",
                           "recurrent_memory:segment=10,tokens=2"})
    out.emplace_back(more);
  return out;
}

/// A whole number among a method's settings.
inline int64_t value_of(const Attention& attention, const char* key, int64_t otherwise) {
  const Setting setting = parse_setting(attention.setting);
  const auto found = setting.values.find(key);
  return found == setting.values.end() ? otherwise : to_int("laws", key, found->second);
}

/// Tokens after which the state of a long text has as many bytes again: a segment, with the vectors around it.
inline int64_t period_of(const Attention& attention) {
  return value_of(attention, "segment", 1) + 2 * value_of(attention, "tokens", 0);
}

struct Shape {
  int64_t B = 1, H = 6, G = 2, T = 100, D = 8;
};

inline const std::vector<Shape> kShapes{{1, 6, 2, 130, 8}, {2, 6, 2, 70, 20}, {1, 6, 6, 66, 64}};

inline void PrintTo(const Shape& s, std::ostream* out) { *out << fmt::format("B{}H{}G{}T{}D{}", s.B, s.H, s.G, s.T, s.D); }

inline Tensor random_normal(at::IntArrayRef sizes, uint64_t seed) {
  return at::randn(sizes, at::make_generator<at::CPUGeneratorImpl>(seed), at::TensorOptions().dtype(at::kFloat));
}

inline Qkv random_qkv(const Shape& s, uint64_t seed) {
  return {random_normal({s.B, s.H, s.T, s.D}, seed), random_normal({s.B, s.G, s.T, s.D}, seed + 1),
          random_normal({s.B, s.G, s.T, s.D}, seed + 2), at::linspace(0.2, 0.8, s.H)};
}

inline Qkv tokens(const Qkv& x, int64_t first, int64_t count) {
  return {x.q.narrow(2, first, count), x.k.narrow(2, first, count), x.v.narrow(2, first, count), x.gate};
}

inline Qkv in_double(const Qkv& x) {
  return {x.q.to(at::kDouble), x.k.to(at::kDouble), x.v.to(at::kDouble), x.gate.to(at::kDouble)};
}

/// Another method, watched: the lengths it was asked for; and, when `is_fused` is false, without its fused form.
class Watched final : public Position {
 public:
  Watched(std::shared_ptr<const Position> of, bool is_fused) : Position(of->rotary()), of_(std::move(of)), is_fused_(is_fused) {}
  Tensor theta(int64_t length) const override { return of_->theta(length); }
  Tensor distance(const Tensor& i, const Tensor& j) const override { return of_->distance(i, j); }
  Tensor scale(const Tensor& i, int64_t length) const override {
    this->length = length;
    return of_->scale(i, length);
  }
  Tensor gain(const Tensor& i, const Tensor& j) const override { return of_->gain(i, j); }
  Tensor bias(const Tensor& i, const Tensor& j) const override { return of_->bias(i, j); }
  Pieces pieces() const override { return is_fused_ ? of_->pieces() : std::nullopt; }
  std::string anchor() const override { return of_->anchor(); }
  std::string hybrid() const override { return of_->hybrid(); }
  mutable int64_t length = 0;  // of the last call

 private:
  std::shared_ptr<const Position> of_;
  bool is_fused_;
};

struct Outcome {
  Tensor out;  // [B,H,T,D]
  State state;
  std::vector<int64_t> lengths;  // [T] what the position method was told when row t was computed
};

/// Feeds x in segments of those lengths, continuing `state`.
inline Outcome run(const Attention& attention, const std::shared_ptr<const Position>& position, const Qkv& x,
                   std::vector<int64_t> cuts, State state = {}, bool is_fused = true) {
  const Watched watched(position, is_fused);
  Outcome all;
  std::vector<Tensor> outs;
  int64_t at = 0;
  for (const int64_t count : cuts) {
    auto out = attention.attend(tokens(x, at, count), watched, {{}, state.seen}, std::move(state));
    state = std::move(out.state);
    outs.push_back(out.out);
    all.lengths.insert(all.lengths.end(), static_cast<size_t>(count), watched.length);
    at += count;
  }
  LV_CHECK(at == x.q.size(2), "[laws] the cuts cover {} of {} tokens", at, x.q.size(2));
  all.out = at::cat(outs, 2), all.state = std::move(state);
  return all;
}

/// Cuts of T tokens into pieces of that many, the last shorter.
inline std::vector<int64_t> pieces(int64_t T, int64_t of) {
  std::vector<int64_t> out(static_cast<size_t>(T / of), of);
  if (T % of > 0) out.push_back(T % of);
  return out;
}

/// Rows that were computed with the same frequencies and scale, though told of different lengths.
inline Tensor alike_rows(const Position& position, const Outcome& a, const Outcome& b) {
  std::vector<int64_t> out;
  const Tensor i = at::zeros({1}, at::kLong);
  for (size_t t = 0; t < a.lengths.size(); ++t)
    if (a.lengths[t] == b.lengths[t] || (at::equal(position.theta(a.lengths[t]), position.theta(b.lengths[t])) &&
                                         at::equal(position.scale(i, a.lengths[t]), position.scale(i, b.lengths[t]))))
      out.push_back(static_cast<int64_t>(t));
  return at::tensor(out, at::kLong);
}

/// A setting as a test's name.
inline std::string name_of(std::string setting) {
  std::replace_if(
      setting.begin(), setting.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return setting;
}

}  // namespace longview::testing
