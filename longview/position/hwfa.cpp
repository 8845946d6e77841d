// Positions of the hybrids of windows and full layers; attention/hwfa.cpp says which layer is which.
//   hwfa  (kexue.fm/archives/9603): RoPE in the windows; the last layer sees everything, not rotated, scaled by log n from the first token
//   hwfa2 (kexue.fm/archives/9731): RoPE in the windows; the full layers ReRoPE. A window of the trained length is RoPE, which is how
//         such a model is trained; to read further, the post takes half of it
#include "longview/position/full_layers.h"
#include "longview/position/methods.h"

namespace longview {
namespace {

struct HwfaPositionConfig {
  void fields(auto&&) {}
};

struct Hwfa2PositionConfig {
  int64_t full = 2, window = 0;
  void fields(auto&& field) {
    field("full", full, "layers that see everything; attention hwfa2 has the same");
    field("window", window, "true distances in the full layers; 0: half the trained length");
  }
};

/// Itself the position of the full layers.
class HybridPosition : public Position {
 public:
  HybridPosition(const Rotary& rotary, std::shared_ptr<const Position> full, FullLayers layers)
      : Position(rotary), full_(std::move(full)), window_(make_position("rope", unscaled(rotary))), layers_(layers) {}

  const Position& at(int64_t layer) const override { return layers_.has(layer) ? *this : *window_; }
  std::string hybrid() const override { return layers_.text(); }
  bool is_trained_in() const override { return true; }

  Tensor theta(int64_t length) const override { return full_->theta(length); }
  Tensor distance(const Tensor& i, const Tensor& j) const override { return full_->distance(i, j); }
  Tensor scale(const Tensor& i, int64_t length) const override { return full_->scale(i, length); }
  Pieces pieces() const override { return full_->pieces(); }

 private:
  std::shared_ptr<const Position> full_, window_;
  FullLayers layers_;
};

struct HwfaPosition final : HybridPosition {
  HwfaPosition(HwfaPositionConfig, const Rotary& rotary)
      : HybridPosition(rotary, make_position("nope:logn=trained", unscaled(rotary)), FullLayers::last(rotary.layers)) {}
};

struct Hwfa2Position final : HybridPosition {
  Hwfa2Position(Hwfa2PositionConfig c, const Rotary& rotary)
      : HybridPosition(rotary, make_position(fmt::format("rerope:window={}", c.window), unscaled(rotary)),
                       FullLayers::between(rotary.layers, c.full)) {}
};

}  // namespace

std::shared_ptr<const Position> make_hwfa_position(const Setting& setting, const Rotary& rotary) {
  return made<HwfaPosition>("hwfa", with_values(HwfaPositionConfig{}, setting), rotary);
}

std::shared_ptr<const Position> make_hwfa2_position(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(Hwfa2PositionConfig{}, setting);
  LV_CHECK(!setting.values.contains("window") || c.window >= 1, "[hwfa2] window must be at least 1; got {}", c.window);
  if (c.window == 0) c.window = std::max<int64_t>(rotary.trained_length / 2, 1);
  return made<Hwfa2Position>("hwfa2", c, rotary);
}

}  // namespace longview
