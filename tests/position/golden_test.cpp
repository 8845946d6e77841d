// Frequencies against the tables of tests/golden/rope_tables.py (float64 from the formulas, float32 from transformers) and against
// the numbers of shared/reference/length-extrapolation.md, sections 10 and 18.
#include <gtest/gtest.h>

#include <set>

#include "longview/base/file.h"
#include "longview/base/json.h"
#include "longview/position/position.h"

namespace longview {
namespace {

Tensor theta_of(const std::string& setting, const Rotary& rotary, int64_t length = 1) {
  return make_position(setting, rotary)->theta(length);
}

/// The factor on cos and sin both: the root of what a score is multiplied by.
double attention_factor(const std::string& setting, const Rotary& rotary, int64_t length = 1) {
  return std::sqrt(make_position(setting, rotary)->scale(at::zeros({1}, at::kLong), length).item<double>());
}

/// The script's lists for longrope, as text.
std::string rising_list(int64_t pairs, bool is_long) {
  std::string out;
  for (int64_t m = 0; m < pairs; ++m) {
    const double x = static_cast<double>(m);
    const double value = is_long ? 1 + 7 * std::pow(x / static_cast<double>(pairs - 1), 1.5) : 1 + 0.01 * x;
    out += fmt::format("{}{}", m > 0 ? "/" : "", value);
  }
  return out;
}

/// A case of the table as a setting of ours.
std::string setting_of(const Json& c) {
  const auto method = c["method"].get<std::string>();
  const auto factor = c["factor"].get<double>();
  const auto original = c["original"].get<int64_t>(), pairs = c["head_dim"].get<int64_t>() / 2;
  if (method == "default") return "rope";
  if (method == "linear" || method == "ntk") return fmt::format("{}:factor={}", method, factor);
  if (method == "ntk_old") return fmt::format("abf:base={}", c["base"].get<double>() * factor);
  if (method == "ntk_fixed") return fmt::format("ntk_mixed:factor={},power=1", factor);
  if (method == "ntk_mixed") return fmt::format("ntk_mixed:factor={},power={}", factor, c["exponent"].get<double>());
  if (method == "dynamic" || method == "yarn" || method == "ntk_by_parts")
    return fmt::format("{}:factor={},original={}", method, factor, original);
  if (method == "dynamic_yarn") return fmt::format("dynamic_yarn:original={}", original);
  if (method == "abf") return fmt::format("abf:base={}", c["new_base"].get<double>());
  if (method == "resonance") return fmt::format("resonance:over={},factor={}", c["over"].get<std::string>(), factor);
  if (method == "longrope")
    return fmt::format("longrope:factor={},original={},short={},long={}", factor, original, rising_list(pairs, false),
                       rising_list(pairs, true));
  if (method == "llama3")
    return fmt::format("llama3:factor={},original={},low={},high={}", factor, original, c["low_freq_factor"].get<double>(),
                       c["high_freq_factor"].get<double>());
  fail("[golden] the table has an unknown method {}", method);
}

/// What a model must be trained with has its own numbers, in trained_in_test.cpp.
bool is_trained_in(const std::string& name) { return make_position(name, {64, 1e4, 100})->is_trained_in(); }

bool changes_frequencies(const std::string& name) {
  const Tensor i = at::arange(300, at::kLong);
  return at::equal(make_position(name, {64, 1e4, 100})->distance(i, i), make_position("rope", {64, 1e4, 100})->distance(i, i));
}

double largest_ratio(const Tensor& ours, const Json& theirs) {
  const auto wanted = theirs.get<std::vector<double>>();
  EXPECT_EQ(ours.size(0), static_cast<int64_t>(wanted.size()));
  return (ours / at::tensor(wanted, at::kDouble) - 1).abs().max().item<double>();
}

TEST(RopeTables, EveryFrequencyOfEveryCaseAgrees) {
  const Json tables = parse_json(read_text(LONGVIEW_GOLDEN "/rope_tables.json"), "rope_tables.json");
  std::set<std::string> seen;
  for (const auto& c : tables["cases"]) {
    const std::string setting = setting_of(c);
    seen.insert(parse_setting(setting).name);
    const Rotary rotary{c["head_dim"].get<int64_t>(), c["base"].get<double>(), c["original"].get<int64_t>()};
    const int64_t length = c.contains("length") ? c["length"].get<int64_t>() : rotary.trained_length;
    const Tensor ours = theta_of(setting, rotary, length);
    EXPECT_LT(largest_ratio(ours, c["inv_freq"]), 1e-14) << setting << " " << c["head_dim"] << " " << c["base"];
    if (c.contains("inv_freq_f32")) EXPECT_LT(largest_ratio(ours, c["inv_freq_f32"]), 1e-5) << setting << ", transformers";
    EXPECT_NEAR(attention_factor(setting, rotary, length), c["attention_factor"].get<double>(), 1e-15) << setting;
  }
  std::set<std::string> known;
  for (const auto& entry : positions())
    if (changes_frequencies(std::string(entry.name)) && !is_trained_in(std::string(entry.name))) known.emplace(entry.name);
  EXPECT_EQ(seen, known) << "every registered table of frequencies has its golden numbers";
}

struct DistanceRow {
  const char* setting;
  std::vector<double> of_keys;  // distances of the last query to the keys from 0 on
};

TEST(PublishedNumbers, DistancesOfARow) {
  const std::vector<DistanceRow> rows{
      {"rerope:window=4", {4, 4, 4, 4, 4, 4, 3, 2, 1, 0}},
      {"leaky_rerope:window=4,factor=4", {5.25, 5, 4.75, 4.5, 4.25, 4, 3, 2, 1, 0}},
      {"self_extend:window=4,group=2", {6, 6, 5, 5, 4, 4, 3, 2, 1, 0}},
      {"self_extend:window=5,group=2", {7, 7, 6, 6, 5, 4, 3, 2, 1, 0}},
      {"self_extend:window=5,group=2,shift=real", {6.5, 6.5, 5.5, 5.5, 4.5, 4, 3, 2, 1, 0}},
      {"dual_chunk:chunk=6,limit=10", {9, 8, 7, 6, 5, 4, 5, 4, 3, 2, 1, 0}},
      {"dual_chunk:chunk=6,limit=10", {9, 8, 7, 6, 5, 4, 6, 5, 4, 3, 2, 1, 0}},
      {"dual_chunk:chunk=6,limit=11", {10, 9, 8, 7, 6, 5, 5, 4, 3, 2, 1, 0}},
  };
  std::set<std::string> seen{"auto"};  // which is the plain one or leaky_rerope, see its own test
  for (const auto& row : rows) {
    const auto n = static_cast<int64_t>(row.of_keys.size());
    const Tensor distance =
        make_position(row.setting, {64, 1e4, 10})->distance(at::tensor({n - 1}, at::kLong), at::arange(n, at::kLong))[0];
    EXPECT_TRUE(at::equal(distance, at::tensor(row.of_keys, at::kDouble))) << row.setting;
    seen.insert(parse_setting(row.setting).name);
  }
  for (const auto& entry : positions())
    if (!changes_frequencies(std::string(entry.name)) && !is_trained_in(std::string(entry.name)))
      EXPECT_TRUE(seen.contains(std::string(entry.name))) << entry.name;
}

TEST(PublishedNumbers, LogN) {
  for (const auto& [N, n, wanted] : std::vector<std::tuple<int64_t, int64_t, double>>{{512, 512, 1},
                                                                                      {512, 1024, 1.1111},
                                                                                      {512, 2048, 1.2222},
                                                                                      {512, 4096, 1.3333},
                                                                                      {4096, 8192, 1.0833},
                                                                                      {4096, 16384, 1.1667},
                                                                                      {4096, 32768, 1.25}}) {
    const Tensor last = at::tensor({n - 1}, at::kLong);
    for (const char* setting : {"rope:logn=clipped", "rope:logn=trained"})
      EXPECT_NEAR(make_position(setting, {64, 1e4, N})->scale(last, n).item<double>(), wanted, 6e-5) << setting;
  }
  const Tensor early = at::tensor({7}, at::kLong);
  EXPECT_EQ(make_position("rope:logn=clipped", {64, 1e4, 512})->scale(early, 8).item<double>(), 1);
  EXPECT_NEAR(make_position("rope:logn=trained", {64, 1e4, 512})->scale(early, 8).item<double>(), 1.0 / 3, 1e-15);
  EXPECT_NEAR(make_position("rope:temperature=8", {64, 1e4, 512})->scale(early, 8).item<double>(), 1.459129, 6e-7);
}

TEST(Auto, IsRopeInsideTheTrainedLengthAndLeakyBeyond) {
  const Rotary rotary{64, 1e4, 100};
  const auto method = make_position("auto", rotary);
  const auto row = [](const Position& of, int64_t i) {
    return of.distance(at::tensor({i}, at::kLong), at::arange(i + 1, at::kLong));
  };
  for (const int64_t i : {0, 49, 50, 99}) EXPECT_TRUE(at::equal(row(*method, i), row(*make_position("rope", rotary), i))) << i;
  for (const auto& [i, factor] :
       std::vector<std::pair<int64_t, int>>{{100, 8}, {449, 8}, {450, 16}, {849, 16}, {850, 32}, {9000, 256}}) {
    EXPECT_TRUE(at::equal(row(*method, i), row(*make_position(fmt::format("leaky_rerope:window=50,factor={}", factor), rotary), i)))
        << i;
    EXPECT_LE(row(*method, i).max().item<double>(), 100) << "no distance that was never trained";
  }
}

struct Published {
  const char* setting;
  Rotary rotary;
  std::vector<std::pair<int64_t, double>> pairs;  // pair, frequency to nine digits
};

void expect_published(const Published& p) {
  const Tensor theta = theta_of(p.setting, p.rotary);
  for (const auto& [m, wanted] : p.pairs) EXPECT_NEAR(theta[m].item<double>() / wanted, 1, 2e-9) << p.setting << " pair " << m;
}

TEST(PublishedNumbers, YarnFollowsTheCode) {
  expect_published({"yarn:factor=8,original=4096",
                    {128, 1e4, 4096},
                    {{0, 1},
                     {20, 0.0562341325},
                     {21, 0.0470579195},
                     {33, 0.00487104932},
                     {45, 2.44315266e-4},
                     {46, 1.66690179e-4},
                     {63, 1.44347748e-5}}});
}

TEST(PublishedNumbers, YarnOfThePaperDiffersInTheMiddleOnly) {
  const Rotary rotary{128, 1e4, 4096};
  const Tensor code = theta_of("yarn:factor=8,original=4096", rotary),
               paper = theta_of("yarn:factor=8,original=4096,ramp=paper", rotary);
  EXPECT_NEAR(paper[33].item<double>() / 0.00221786, 1, 2e-6);
  EXPECT_NEAR((code / paper)[33].item<double>(), 2.2, 0.05);
  for (const int64_t m : {0, 10, 46, 63}) EXPECT_DOUBLE_EQ(code[m].item<double>(), paper[m].item<double>()) << m;
}

TEST(PublishedNumbers, YarnBlendsBetweenThesePairs) {
  struct Range {
    Rotary rotary;
    int64_t low, high;
  };
  for (const auto& [rotary, low, high] :
       {Range{{64, 1e4, 512}, 3, 16}, Range{{64, 1e4, 2048}, 8, 21}, Range{{128, 1e4, 2048}, 16, 41},
        Range{{128, 1e4, 4096}, 20, 46}, Range{{128, 1e6, 32768}, 23, 40}, Range{{128, 5e5, 8192}, 18, 35}}) {
    const Tensor ratio = theta_of("rope", rotary) / theta_of("yarn:factor=4", rotary);  // 1 up to low, 4 from high on
    const int64_t pairs = rotary.head_width / 2;
    for (int64_t m = 0; m < pairs; ++m) {
      const auto r = ratio[m].item<double>();
      if (m <= low) EXPECT_DOUBLE_EQ(r, 1) << m;
      else if (m >= high) EXPECT_DOUBLE_EQ(r, 4) << m;
      else EXPECT_TRUE(r > 1 && r < 4) << m << ": " << r;
    }
  }
}

TEST(PublishedNumbers, YarnsTemperature) {
  const Rotary rotary{128, 1e4, 4096};
  for (const auto& [factor, wanted] : {std::pair{2, 1.069315}, {4, 1.138629}, {8, 1.207944}, {16, 1.277259}, {32, 1.346574}})
    EXPECT_NEAR(attention_factor(fmt::format("yarn:factor={}", factor), rotary), wanted, 6e-7) << factor;
  EXPECT_NEAR(make_position("yarn:factor=8", rotary)->scale(at::zeros({1}, at::kLong), 1).item<double>(), 1.459129, 6e-7);
  EXPECT_DOUBLE_EQ(attention_factor("yarn:factor=8,attention_factor=1", rotary), 1);
}

TEST(PublishedNumbers, Llama3) {
  expect_published({"llama3",
                    {128, 5e5, 131072},
                    {{28, 0.00321144599},
                     {29, 0.00216657076},
                     {30, 0.00137189357},
                     {31, 8.56751413e-4},
                     {32, 5.24846161e-4},
                     {34, 1.78507813e-4},
                     {35, 9.55621235e-5},
                     {36, 7.78465527e-5},
                     {63, 3.06892599e-7}}});
  const Tensor ratio = theta_of("rope", {128, 5e5, 131072}) / theta_of("llama3", {128, 5e5, 131072});
  for (int64_t m = 0; m < 64; ++m) {
    const auto r = ratio[m].item<double>();
    if (m < 29) EXPECT_DOUBLE_EQ(r, 1) << m;
    else if (m > 34) EXPECT_DOUBLE_EQ(r, 8) << m;
    else EXPECT_TRUE(r > 1 && r < 8) << "blended pair " << m;
  }
}

/// The base that frequencies follow.
double base_of(const std::string& setting, const Rotary& rotary, int64_t length = 1) {
  return std::pow(theta_of(setting, rotary, length)[1].item<double>(), -static_cast<double>(rotary.head_width) / 2);
}

TEST(PublishedNumbers, NtkAndDynamicBases) {
  EXPECT_NEAR(base_of("ntk:factor=8", {128, 1e4, 2048}), 82684.6, 0.05);
  EXPECT_NEAR(base_of("ntk:factor=8", {64, 1e4, 2048}), 85550.4, 0.05);
  const Rotary rotary{128, 1e4, 4096};
  EXPECT_NEAR(base_of("dynamic:factor=1", rotary, 8192), 20221.3, 0.05);
  EXPECT_NEAR(base_of("dynamic:factor=2", rotary, 8192), 30527.7, 0.05);
  EXPECT_NEAR(base_of("dynamic:factor=2", rotary, 16384), 72195.9, 0.05);
}

TEST(PublishedNumbers, LinearDividesEveryFrequency) {
  const Rotary rotary{64, 1e4, 2048};
  const Tensor ratio = theta_of("rope", rotary) / theta_of("linear:factor=3", rotary);
  EXPECT_NEAR(ratio.min().item<double>(), 3, 1e-15 * 3);
  EXPECT_NEAR(ratio.max().item<double>(), 3, 1e-15 * 3);
}

TEST(PositionSettings, ThatMakeNoSenseAreRefusedWithTheReason) {
  const auto error_of = [](const char* setting) {
    try {
      make_position(setting, {64, 1e4, 2048});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const auto& [setting, why] : std::vector<std::pair<const char*, const char*>>{
           {"linear:factor=0.5", "factor must be at least 1; got 0.5"},
           {"ntk:factor=0", "factor must be at least 1"},
           {"dynamic:original=-1", "original must not be negative"},
           {"yarn:factor=0.9", "factor must be at least 1"},
           {"yarn:beta_fast=1,beta_slow=2", "beta_fast > beta_slow"},
           {"yarn:ramp=other", "code or paper"},
           {"llama3:low=4,high=1", "high > low"},
           {"llama3:original=0", "original must be positive"},
           {"rope:base=0.5", "base must be above 1"},
           {"linear:factor=nan", "factor"},
           {"linear:factors=2", "factor"},
           {"linaer", "linear"},
           {"rerope:window=0", "window must be at least 1"},
           {"leaky_rerope:factor=0.5", "factor must be at least 1"},
           {"self_extend:group=0", "group must be at least 1"},
           {"self_extend:shift=half", "floor or real"},
           {"dual_chunk:chunk=30,limit=20", "limit must be at least the chunk of 30"},
           {"ntk_mixed:power=2", "power must be from 0 to 1"},
           {"ntk_by_parts:factor=0", "factor must be at least 1"},
           {"dynamic_yarn:original=-1", "original must not be negative"},
           {"resonance:over=streaming", "unknown method for 'over'"},
           {"longrope:long=1/2/3", "must have 1 or 32 divisors"},
           {"longrope:long=0", "must be above 0"},
           {"abf:base=1", "base must be above 1"},
           {"rope:logn=often", "clipped or trained"},
           {"yarn:temperature=0.5", "temperature must be at least 1"},
           {"auto:factor=2", "takes no settings"},
       })
    EXPECT_NE(error_of(setting).find(why), std::string::npos) << setting << ": " << error_of(setting);
}

}  // namespace
}  // namespace longview
