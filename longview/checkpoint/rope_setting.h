// A checkpoint's own context extension, from its file's words to a position setting of ours.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longview {

/// What a file says: missing numbers stay empty. Lengths in tokens.
struct RopeScaling {
  std::string type =
      {};  // linear, dynamic, yarn, llama3, longrope; "", "none", "default": not scaled; others are passed on by their name
  std::optional<double> factor = {}, attention_factor = {}, beta_fast = {}, beta_slow = {}, low = {}, high = {};
  std::optional<int64_t> original = {};
  std::vector<double> short_list = {}, long_list = {};  // longrope: a divisor for each pair
};

/// "yarn:factor=4,original=8192"; "" when not scaled. Values that are the method's defaults are left out. Throws "<where>: what is
/// missing or makes no sense"; a type not known here comes back as its bare name, for the position registry to refuse.
std::string rope_setting(const RopeScaling& scaling, std::string_view where);

/// GGUF stores Llama 3's rule as the divisors of each frequency (tensor "rope_freqs.weight", one a pair). Finds the "llama3:..."
/// that gives them (to 1 in 10,000), "" when all are 1; throws when none does.
std::string setting_of_divisors(std::span<const float> divisors, double base, std::string_view where);

/// And those divisors, one a pair, of a "llama3:..." setting with all its values.
std::vector<float> divisors_of_setting(std::string_view setting, double base, int64_t pairs);

}  // namespace longview
