#include "longview/position/scaled.h"

namespace longview {
namespace {

class Scaled : public Position {
 public:
  Scaled(const Scales& scales, std::shared_ptr<const Position> inner)
      : Position(inner->rotary()), scales_(scales), inner_(std::move(inner)) {}

  Tensor theta(int64_t length) const override { return inner_->theta(length); }
  Tensor distance(const Tensor& i, const Tensor& j) const override { return inner_->distance(i, j); }
  Tensor gain(const Tensor& i, const Tensor& j) const override { return inner_->gain(i, j); }
  Tensor bias(const Tensor& i, const Tensor& j) const override { return inner_->bias(i, j); }
  Pieces pieces() const override { return inner_->pieces(); }
  std::string anchor() const override { return inner_->anchor(); }
  std::vector<LearnedValue> learned() const override { return inner_->learned(); }
  const Position& at(int64_t layer) const override {  // of a hybrid, the layers that look at everything are scaled
    const Position& own = inner_->at(layer);
    return &own == inner_.get() ? *this : own;
  }
  std::string hybrid() const override { return inner_->hybrid(); }
  bool is_trained_in() const override { return inner_->is_trained_in(); }
  std::string choice(int64_t tokens) const override { return inner_->choice(tokens); }

  Tensor scale(const Tensor& i, int64_t length) const override {
    Tensor out = inner_->scale(i, length);  // [Tq]
    if (scales_.temperature > 0) out = out * std::pow(0.1 * std::log(scales_.temperature) + 1, 2);
    if (scales_.logn.empty()) return out;
    const Tensor logn = at::log(i.to(at::kDouble) + 1) / std::log(static_cast<double>(rotary().trained_length));  // [Tq]
    return out * (scales_.logn == "clipped" ? logn.clamp_min(1) : logn);                                          // [Tq]
  }

 private:
  Scales scales_;
  std::shared_ptr<const Position> inner_;
};

}  // namespace

Scales take_scales(Setting& setting) {
  Scales out;
  if (const auto node = setting.values.extract("logn")) {
    out.logn = node.mapped();
    LV_CHECK(out.logn == "clipped" || out.logn == "trained", "[{}] logn must be clipped or trained; got '{}'", setting.name,
             out.logn);
  }
  if (const auto node = setting.values.extract("temperature")) {
    out.temperature = to_real(setting.name, "temperature", node.mapped());
    LV_CHECK(out.temperature >= 1, "[{}] temperature must be at least 1; got {}", setting.name, out.temperature);
  }
  return out;
}

std::shared_ptr<const Position> scaled_by(const Scales& scales, std::shared_ptr<const Position> method) {
  if (scales.is_empty()) return method;
  LV_CHECK(scales.logn.empty() || method->hybrid() != "hwfa", "[hwfa] scales by log n already; leave out logn={}", scales.logn);
  std::string setting = method->setting;
  const auto add = [&](const std::string& value) { setting += (setting.find(':') == std::string::npos ? ":" : ",") + value; };
  if (!scales.logn.empty()) add("logn=" + scales.logn);
  if (scales.temperature > 0) add(fmt::format("temperature={}", scales.temperature));
  auto out = std::make_shared<Scaled>(scales, std::move(method));
  out->setting = setting;
  return out;
}

}  // namespace longview
