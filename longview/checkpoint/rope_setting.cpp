// Scaling of rotary frequencies as files spell it: transformers' modeling_rope_utils.py and llama.cpp's loader.
#include "longview/checkpoint/rope_setting.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "longview/base/check.h"
#include "longview/base/fields.h"

namespace longview {
namespace {

double needed(std::optional<double> value, std::string_view name, const RopeScaling& scaling, std::string_view where) {
  LV_CHECK(value.has_value(), "{}: {} scaling needs '{}'", where, scaling.type, name);
  LV_CHECK(std::isfinite(*value) && *value > 0, "{}: '{}' of {} scaling must be above 0; got {}", where, name, scaling.type,
           *value);
  return *value;
}

FieldText original_of(const RopeScaling& scaling, std::string_view where) {
  LV_CHECK(scaling.original.has_value(), "{}: {} scaling needs its original length", where, scaling.type);
  LV_CHECK(*scaling.original >= 1, "{}: the original length of {} scaling must be at least 1; got {}", where, scaling.type,
           *scaling.original);
  return {"original", fmt::format("{}", *scaling.original), ""};
}

// GGUF holds f32: 1.1f is written as 1.1, not as the double it widens to.
std::string number_text(double value) {
  const auto narrow = static_cast<float>(value);
  return narrow == value ? fmt::format("{}", narrow) : fmt::format("{}", value);
}

FieldText real(const char* name, double value) { return {name, number_text(value), ""}; }

std::string list_text(const std::vector<double>& values, std::string_view name, std::string_view where) {
  LV_CHECK(!values.empty(), "{}: longrope scaling needs '{}', a number for each rotary pair", where, name);
  std::string out;
  for (const double value : values) {
    LV_CHECK(std::isfinite(value) && value > 0, "{}: the numbers of '{}' must be above 0; got {}", where, name, value);
    out += (out.empty() ? "" : "/") + number_text(value);
  }
  return out;
}

// The rule of Llama 3.1: f below the short wavelengths' bound, 1 above the long ones', a blend between.
double divisor(double wavelength, double factor, double low, double high, double original) {
  const double turns = original / wavelength;
  if (turns > high) return 1;
  if (turns < low) return factor;
  const double smooth = (turns - low) / (high - low);
  return 1 / ((1 - smooth) / factor + smooth);
}

struct Llama3 {
  double factor, low, high, original;
};

bool gives(const Llama3& rule, std::span<const float> divisors, double base) {
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double wavelength = 2 * std::numbers::pi * std::pow(base, static_cast<double>(i) / static_cast<double>(divisors.size()));
    const double expected = divisor(wavelength, rule.factor, rule.low, rule.high, rule.original);
    if (!(std::abs(divisors[i] - expected) <= 1e-4 * expected)) return false;
  }
  return true;
}

// In the blend, smooth = (original / wavelength - low) / (high - low) is a line in 1 / wavelength. Only ratios of the three can be
// told apart, so low is 1, as in every published model.
Llama3 fitted(std::span<const float> divisors, double base, double factor) {
  std::vector<std::pair<double, double>> points;  // 1 / wavelength, smooth
  for (size_t i = 0; i < divisors.size(); ++i) {
    if (!(divisors[i] > 1.0001 && divisors[i] < factor * 0.9999)) continue;
    const double turn = std::pow(base, -static_cast<double>(i) / static_cast<double>(divisors.size())) / (2 * std::numbers::pi);
    points.emplace_back(turn, (1 / divisors[i] - 1 / factor) / (1 - 1 / factor));
  }
  if (points.empty()) return {factor, 1, 4, 8192};
  if (points.size() == 1) return {factor, 1, 4, std::round((3 * points[0].second + 1) / points[0].first)};
  const auto [x0, y0] = points.back();
  const auto [x1, y1] = points.front();
  const double slope = (y1 - y0) / (x1 - x0), offset = slope * x0 - y0;  // original / (high - low), low / (high - low)
  const double high = std::round((1 + 1 / offset) * 100) / 100;
  return {factor, 1, high, std::round(slope * (high - 1))};
}

std::string llama3_text(const Llama3& rule) {
  return setting_text("llama3", {real("factor", rule.factor),
                                 real("low", rule.low),
                                 real("high", rule.high),
                                 {"original", fmt::format("{:.0f}", rule.original), ""}});
}

}  // namespace

std::string rope_setting(const RopeScaling& scaling, std::string_view where) {
  const std::string& type = scaling.type;
  if (type.empty() || type == "none" || type == "default") return "";
  const auto factor = [&] { return needed(scaling.factor, "factor", scaling, where); };
  if (type == "linear") return setting_text(type, {real("factor", factor())});
  if (type == "dynamic") return setting_text(type, {real("factor", factor()), original_of(scaling, where)});
  if (type == "llama3") {
    const double low = needed(scaling.low, "low_freq_factor", scaling, where);
    const double high = needed(scaling.high, "high_freq_factor", scaling, where);
    return setting_text(type, {real("factor", factor()), real("low", low), real("high", high), original_of(scaling, where)});
  }
  if (type == "yarn") {
    std::vector<FieldText> fields = {real("factor", factor()), original_of(scaling, where)};
    const double fast = needed(scaling.beta_fast.value_or(32), "beta_fast", scaling, where);
    const double slow = needed(scaling.beta_slow.value_or(1), "beta_slow", scaling, where);
    if (fast != 32 || slow != 1) fields.insert(fields.end(), {real("beta_fast", fast), real("beta_slow", slow)});
    const double usual = factor() <= 1 ? 1 : 0.1 * std::log(factor()) + 1;
    const double attention = needed(scaling.attention_factor.value_or(usual), "attention_factor", scaling, where);
    if (std::abs(attention - usual) > 1e-6 * usual) fields.push_back(real("attention_factor", attention));
    return setting_text(type, fields);
  }
  if (type == "longrope" || type == "su") {  // the name it had at first
    std::vector<FieldText> fields = {real("factor", factor()), original_of(scaling, where)};
    fields.push_back({"short", list_text(scaling.short_list, "short_factor", where), ""});
    fields.push_back({"long", list_text(scaling.long_list, "long_factor", where), ""});
    const auto original = static_cast<double>(*scaling.original);
    const double usual = factor() > 1 && original > 1 ? std::sqrt(1 + std::log(factor()) / std::log(original)) : 1;
    const double attention = needed(scaling.attention_factor.value_or(usual), "attention_factor", scaling, where);
    if (std::abs(attention - usual) > 1e-6 * usual) fields.push_back(real("attention_factor", attention));
    return setting_text("longrope", fields);
  }
  const bool is_name = type.size() <= 32 && std::all_of(type.begin(), type.end(), [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
                       });
  LV_CHECK(is_name, "{}: '{}' is not the name of a rotary scaling", where, type);
  return type;
}

std::string setting_of_divisors(std::span<const float> divisors, double base, std::string_view where) {
  const bool finite = std::all_of(divisors.begin(), divisors.end(), [](float f) { return std::isfinite(f) && f >= 1; });
  LV_CHECK(finite && !divisors.empty(), "{}: the divisors in 'rope_freqs.weight' must be numbers from 1 up", where);
  const double factor = std::round(*std::max_element(divisors.begin(), divisors.end()) * 1e4) / 1e4;
  if (factor == 1) return "";
  for (const Llama3& rule : {Llama3{factor, 1, 4, 8192}, fitted(divisors, base, factor)})
    if (gives(rule, divisors, base)) return llama3_text(rule);
  fail("{}: the divisors in 'rope_freqs.weight' do not follow the rule of Llama 3, the only one known for them", where);
}

std::vector<float> divisors_of_setting(std::string_view setting, double base, int64_t pairs) {
  const Setting parsed = parse_setting(setting);
  const auto value = [&](const char* key) { return to_real("llama3", key, parsed.values.at(key)); };
  std::vector<float> out;
  for (int64_t i = 0; i < pairs; ++i) {
    const double wavelength = 2 * std::numbers::pi * std::pow(base, static_cast<double>(i) / static_cast<double>(pairs));
    out.push_back(static_cast<float>(divisor(wavelength, value("factor"), value("low"), value("high"), value("original"))));
  }
  return out;
}

}  // namespace longview
