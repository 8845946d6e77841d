// The contract of a position method: a few small functions with neutral defaults, which are RoPE (arXiv:2104.09864).
//   score(i,j) = scale_i * Re<q_i, k_j> rotated by theta * distance(i,j) * gain(i,j) + bias_h(i,j)
// A method's file overrides the one or two that its paper changes. i and j are positions inside the cache, int64.
#pragma once

#include "longview/base/fields.h"
#include "longview/base/registry.h"
#include "longview/base/tensor.h"
#include "longview/kernels/attention.h"
#include "longview/position/rotation_table.h"

namespace longview {

/// What the model gives every position method.
struct Rotary {
  int64_t head_width = 64;        // D
  double base = 10000;            // theta_m = base^(-2m/D)
  int64_t trained_length = 2048;  // tokens
};

inline Rotary with_base(Rotary rotary, double base) {
  rotary.base = base;
  return rotary;
}

/// What the fused kernels understand of a position: keys of a range that share one rotation of the query, the distance being
/// query(i) - key(j). Ranges of a method's pieces do not overlap and together cover j <= i.
struct Piece {
  std::function<std::pair<int64_t, int64_t>(int64_t i)> range;  // keys [from, to) that a query at i reaches this way
  std::function<double(int64_t)> query, key;                    // empty: the position itself
};

class Position {
 public:
  explicit Position(Rotary rotary) : rotary_(rotary) {}
  virtual ~Position() = default;

  virtual Tensor theta(int64_t length) const;                       // f64 [D/2], radians a step, when the cache holds `length`
  virtual Tensor distance(const Tensor& i, const Tensor& j) const;  // f64 [Tq,Tk], default i - j
  virtual Tensor scale(const Tensor& i, int64_t length) const;      // f64 [Tq], default 1
  virtual Tensor gain(const Tensor& i, const Tensor& j) const;      // f64 [Tq,Tk], default none
  virtual Tensor bias(const Tensor& i, const Tensor& j) const;      // f64 [H,Tq,Tk], default none
  virtual std::optional<std::vector<Piece>> fused() const;          // default none: runs by the definition

  const Rotary& rotary() const { return rotary_; }
  std::string setting;  // "yarn:factor=4,original=8192,...": the method and all its values, as make_position understands them
  /// cos and sin of theta(length) * map(p) for p in [first, first + count), f32 [count, D/2]; kept from call to call.
  kernels::Rotation rotation(int64_t length, const std::function<double(int64_t)>& map, int64_t first, int64_t count) const;

 private:
  Rotary rotary_;
  mutable RotationTable table_;
};

/// A method that changes only theta or the scale: distances are i - j, which the kernels understand.
struct Frequencies : Position {
  using Position::Position;
  std::optional<std::vector<Piece>> fused() const override;  // one piece: every key j <= i
};

/// A method with its setting written down.
template <class Method, class Config>
std::shared_ptr<const Position> made(std::string_view name, const Config& config, const Rotary& rotary) {
  auto method = std::make_shared<Method>(config, rotary);
  method->setting = setting_text(name, field_texts(config));
  return method;
}

using MakePosition = std::shared_ptr<const Position> (*)(const Setting&, const Rotary&);
using PositionEntry = Entry<MakePosition>;
std::span<const PositionEntry> positions();

/// "yarn:factor=4,original=8192" -> the method; an unknown name or setting is an error that lists the known ones.
std::shared_ptr<const Position> make_position(std::string_view setting, const Rotary& rotary);

std::shared_ptr<const Position> make_rope(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_linear(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_ntk(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_dynamic(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_yarn(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_llama3(const Setting&, const Rotary&);

}  // namespace longview
