// What files say of their scaled rotations, as settings of ours.
#include "longview/checkpoint/rope_setting.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "tests/checkpoint/gguf_bytes.h"

namespace longview {
namespace {

using testing::error_of;

// As llama.cpp's converter computes them from a Llama 3 config.json.
std::vector<float> divisors(int pairs, double base, double factor, double low, double high, double original) {
  std::vector<float> out;
  for (int i = 0; i < pairs; ++i) {
    const double wavelength = 2 * std::numbers::pi * std::pow(base, static_cast<double>(i) / pairs);
    const double smooth = (original / wavelength - low) / (high - low);
    const double inside = 1 / ((1 - smooth) / factor + smooth);
    out.push_back(static_cast<float>(wavelength < original / high ? 1 : wavelength > original / low ? factor : inside));
  }
  return out;
}

TEST(RopeSetting, FindsTheRuleOfLlama3InItsDivisors) {
  EXPECT_EQ(setting_of_divisors(divisors(64, 5e5, 8, 1, 4, 8192), 5e5, "here"), "llama3:factor=8,low=1,high=4,original=8192");
  EXPECT_EQ(setting_of_divisors(divisors(32, 5e5, 32, 1, 4, 8192), 5e5, "here"), "llama3:factor=32,low=1,high=4,original=8192");
  EXPECT_EQ(setting_of_divisors(divisors(64, 1e6, 2.5, 1, 8, 4096), 1e6, "here"), "llama3:factor=2.5,low=1,high=8,original=4096");
  EXPECT_EQ(setting_of_divisors(divisors(64, 5e5, 8, 2, 8, 16384), 5e5, "here"), "llama3:factor=8,low=1,high=4,original=8192");
  EXPECT_EQ(setting_of_divisors(divisors(8, 1e4, 8, 1, 4, 32), 1e4, "here"), "llama3:factor=8,low=1,high=4,original=32");
  EXPECT_EQ(setting_of_divisors(std::vector<float>(32, 1), 1e4, "here"), "");
}

TEST(RopeSetting, RefusesDivisorsOfAnotherRule) {
  std::vector<float> other(32);
  for (size_t i = 0; i < other.size(); ++i) other[i] = 1 + 0.3F * static_cast<float>(i);
  EXPECT_NE(error_of([&] { setting_of_divisors(other, 1e4, "here"); }).find("here: the divisors"), std::string::npos);
  other[3] = NAN;
  EXPECT_NE(error_of([&] { setting_of_divisors(other, 1e4, "here"); }).find("numbers from 1 up"), std::string::npos);
  EXPECT_NE(error_of([&] { setting_of_divisors({}, 1e4, "here"); }).find("numbers from 1 up"), std::string::npos);
}

TEST(RopeSetting, LeavesOutWhatIsTheMethodsOwn) {
  RopeScaling yarn{.type = "yarn", .factor = 4, .beta_fast = 32, .beta_slow = 1, .original = 32768};
  yarn.attention_factor = 0.1 * std::log(4.0) + 1;
  EXPECT_EQ(rope_setting(yarn, "here"), "yarn:factor=4,original=32768");
  yarn.attention_factor = 1;
  yarn.beta_slow = 2;
  EXPECT_EQ(rope_setting(yarn, "here"), "yarn:factor=4,original=32768,beta_fast=32,beta_slow=2,attention_factor=1");
}

TEST(RopeSetting, PassesOnOtherNames) {
  EXPECT_EQ(rope_setting({.type = "default"}, "here"), "");
  EXPECT_EQ(rope_setting({.type = "su", .factor = 2, .original = 8, .short_list = {1}, .long_list = {2, 3}}, "here"),
            "longrope:factor=2,original=8,short=1,long=2/3");
  EXPECT_NE(error_of([] { rope_setting({.type = "longrope", .factor = 2, .original = 8}, "here"); }).find("needs 'short_factor'"),
            std::string::npos);
  EXPECT_EQ(rope_setting({.type = "proportional"}, "here"), "proportional");
  EXPECT_NE(error_of([] { rope_setting({.type = "Yarn:x"}, "here"); }).find("'Yarn:x' is not the name"), std::string::npos);
  EXPECT_NE(error_of([] { rope_setting({.type = "dynamic", .factor = 2}, "here"); }).find("original length"), std::string::npos);
  EXPECT_NE(error_of([] { rope_setting({.type = "linear", .factor = -2}, "here"); }).find("above 0; got -2"), std::string::npos);
}

}  // namespace
}  // namespace longview
