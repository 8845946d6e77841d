// HWFA (kexue.fm/archives/9603, 9731): layers of short windows and few layers of full attention. The stack of windows sees
// (window - 1) (layers - 1) + 1 tokens; kept below three quarters of the trained length N, its outputs look the same wherever a text is
// read, and the full layer has only to find things among them.
//   hwfa   the last layer is full        hwfa2   `full` layers are, at n * layers / (full + 1); windows of 2 to 4 times N / layers
#include "longview/attention/methods.h"
#include "longview/position/full_layers.h"

namespace longview {
namespace {

struct HwfaConfig {
  int64_t window = 0;
  void fields(auto&& field) {
    field("window", window, "tokens a query of the other layers sees, itself included; 0: as the paper says");
  }
};

struct Hwfa2Config {
  int64_t window = 0, full = 2;
  void fields(auto&& field) {
    field("window", window, "tokens a query of the other layers sees, itself included; 0: as the paper says");
    field("full", full, "layers that see everything");
  }
};

/// Itself the attention of the full layers.
class Hybrid : public Attention {
 public:
  Hybrid(int64_t window, FullLayers layers)
      : full_(make_attention("full")), window_(make_attention(fmt::format("window:window={}", window))), layers_(layers) {}

  const Attention& at(int64_t layer) const override { return layers_.has(layer) ? *this : *window_; }
  std::string hybrid() const override { return layers_.text(); }
  std::optional<int64_t> bound() const override { return full_->bound(); }
  State rewound(State state, int64_t count) const override { return full_->rewound(std::move(state), count); }
  Attended attend(const Qkv& x, const Position& position, const Segment& segment, State state) const override {
    return full_->attend(x, position, segment, std::move(state));
  }

 private:
  std::shared_ptr<const Attention> full_, window_;
  FullLayers layers_;
};

struct Hwfa final : Hybrid {
  Hwfa(const HwfaConfig& c, const Rotary& rotary) : Hybrid(c.window, FullLayers::last(rotary.layers)) {}
};

struct Hwfa2 final : Hybrid {
  Hwfa2(const Hwfa2Config& c, const Rotary& rotary) : Hybrid(c.window, FullLayers::between(rotary.layers, c.full)) {}
};

template <class Method, class Config>
std::shared_ptr<const Attention> hybrid_of(const Setting& setting, Config c, const Rotary& rotary, int64_t usual) {
  LV_CHECK(!setting.values.contains("window") || c.window >= 1, "[{}] window must be at least 1; got {}", setting.name, c.window);
  if (c.window == 0) c.window = std::max<int64_t>(usual, 1);
  auto method = std::make_shared<Method>(c, rotary);
  method->setting = setting_text(setting.name, field_texts(c));
  return method;
}

}  // namespace

std::shared_ptr<const Attention> make_hwfa(const Setting& setting, const Rotary& rotary) {
  const int64_t below = std::max<int64_t>(rotary.layers - 1, 1);
  return hybrid_of<Hwfa>(setting, with_values(HwfaConfig{}, setting), rotary, (rotary.trained_length * 3 / 4 - 1) / below + 1);
}

std::shared_ptr<const Attention> make_hwfa2(const Setting& setting, const Rotary& rotary) {
  return hybrid_of<Hwfa2>(setting, with_values(Hwfa2Config{}, setting), rotary, 3 * rotary.trained_length / rotary.layers);
}

}  // namespace longview
