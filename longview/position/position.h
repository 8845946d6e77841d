// The contract of a position method: a few small functions with neutral defaults, which are RoPE (arXiv:2104.09864).
//   score(i,j) = scale_i * Re<q_i, k_j> rotated by theta * distance(i,j) * gain(i,j) + bias_h(i,j)
// A method's file overrides the one or two that its paper changes. i and j are positions inside the cache, int64.
#pragma once

#include <mutex>

#include "longview/base/fields.h"
#include "longview/base/registry.h"
#include "longview/base/tensor.h"
#include "longview/kernels/attention.h"
#include "longview/position/rotation_table.h"

namespace longview {

/// What the model gives every method.
struct Rotary {
  int64_t head_width = 64;                 // D
  double base = 10000;                     // theta_m = base^(-2m/D)
  int64_t trained_length = 2048;           // tokens
  std::string scaling{};                   // the checkpoint's own frequencies, as a position setting; "": unscaled
  int64_t heads = 1;                       // H, for methods with a bias a head
  int64_t layers = 1;                      // for methods whose layers differ
  std::map<std::string, Tensor> values{};  // what was learned, by the names of the methods' learned(); missing: as it begins
  int64_t width = 64;                      // E, for an attention method with vectors of its own
};

/// A tensor that is trained with the model and shared by all its layers; a checkpoint holds it as "model.position.NAME", f32.
struct LearnedValue {
  std::string name;
  Tensor initial;  // f32, of the value's shape
};

inline Rotary with_base(Rotary rotary, double base) {
  rotary.base = base;
  return rotary;
}

/// As if the checkpoint had no scaling of its own.
Rotary unscaled(Rotary rotary);

/// Where the queries, or the keys, of a piece stand when their angles are made: empty, at their own positions.
struct Place {
  std::function<double(int64_t)> at;
  std::shared_ptr<RotationTable> table;  // remembers the rotations of `at`

  Place() = default;
  Place(std::function<double(int64_t)> map) : at(std::move(map)), table(std::make_shared<RotationTable>()) {}  // NOLINT: implicit
  double operator()(int64_t position) const { return at ? at(position) : static_cast<double>(position); }
};

/// What the fused kernels understand of a position: keys of a range that share one rotation of the query, the distance being
/// query(i) - key(j). Ranges of a method's pieces do not overlap and together cover j <= i.
struct Piece {
  std::function<std::pair<int64_t, int64_t>(int64_t i)> range;  // keys [from, to) that a query at i reaches this way
  Place query, key;
  /// [H,Tq,Tk] or [1,Tq,Tk], what queries at those places add for the keys [key, key + count); empty: nothing.
  std::function<Tensor(const std::vector<int64_t>& query, int64_t key, int64_t count, const at::TensorOptions& like)> bias = {};
  Tensor decay = {};  // f64 [M]: pair m is multiplied by exp(decay_m * (query(i) - key(j))); undefined: by 1
};
using Pieces = std::optional<std::vector<Piece>>;

class Position {
 public:
  explicit Position(Rotary rotary) : rotary_(std::move(rotary)) {}
  virtual ~Position() = default;

  virtual Tensor theta(
      int64_t length) const;  // f64 [M], radians a step, when the cache holds `length`; the first M <= D/2 pairs turn
  virtual Tensor distance(const Tensor& i, const Tensor& j) const;  // f64 [Tq,Tk], default i - j
  virtual Tensor scale(const Tensor& i, int64_t length) const;      // f64 [Tq], default 1
  virtual Tensor gain(const Tensor& i, const Tensor& j) const;      // f64 [Tq,Tk,D/2], default none
  virtual Tensor bias(const Tensor& i, const Tensor& j) const;      // f64 [H,Tq,Tk], default none
  virtual Pieces pieces() const;                                    // default none: runs by the definition

  /// What is trained with the model; value() gives it.
  virtual std::vector<LearnedValue> learned() const { return {}; }
  /// The method of one layer, where layers differ; a hybrid itself is the one of its layers that look at everything.
  virtual const Position& at(int64_t /*layer*/) const { return *this; }
  /// The layers of a hybrid, whose attention must have the same (Attention::hybrid); "": all layers are alike.
  virtual std::string hybrid() const { return ""; }
  /// A model must have been trained with it, and then no other method goes over it.
  virtual bool is_trained_in() const { return false; }

  /// Why distances depend on where the text begins, so that no window may slide over it; "": only i - j matters.
  virtual std::string anchor() const { return ""; }

  /// What a method that chooses by itself does with a text of so many tokens, for people; "": there is nothing to choose.
  virtual std::string choice(int64_t) const { return ""; }

  const Rotary& rotary() const { return rotary_; }
  /// A learned value f64 on the device, what Rotary::values has or else as it begins.
  Tensor value(const std::string& name, at::Device device) const;
  std::string setting;  // "yarn:factor=4,original=8192,...": the method and all its values, as make_position understands them
  /// pieces(), made once.
  const Pieces& fused() const;
  /// cos and sin of theta(length) * place(p) for p in [first, first + count), f32 [count, D/2] on the device; kept from call to
  /// call.
  kernels::Rotation rotation(int64_t length, const Place& place, int64_t first, int64_t count, at::Device device = at::kCPU) const;

 private:
  Rotary rotary_;
  RotationTable table_;
  mutable std::once_flag is_made_;
  mutable Pieces pieces_;
};

/// One piece: every key j <= i at its true distance.
Pieces every_key();

/// A method that changes only theta or the scale: distances are i - j, which the kernels understand.
struct Frequencies : Position {
  using Position::Position;
  Pieces pieces() const override { return every_key(); }
};

/// A method that changes distances: frequencies and scale stay the checkpoint's own.
class Distances : public Position {
 public:
  explicit Distances(const Rotary& rotary);
  Tensor theta(int64_t length) const override { return own_->theta(length); }
  Tensor scale(const Tensor& i, int64_t length) const override { return own_->scale(i, length); }

 private:
  std::shared_ptr<const Position> own_;
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

/// "yarn:factor=4,original=8192" -> the method; an unknown name or setting is an error that lists the known ones. Any method also
/// takes the scales of position/scaled.h: "rerope:window=512,logn=clipped".
std::shared_ptr<const Position> make_position(std::string_view setting, const Rotary& rotary);

}  // namespace longview
