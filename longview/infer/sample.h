// Logits to a token.
#pragma once

#include <random>

#include "longview/base/tensor.h"
#include "longview/text/tokenizer.h"

namespace longview {

/// In the order they apply: repetition penalty (arXiv:1909.05858), temperature, top-k, top-p (arXiv:1904.09751), min-p
/// (arXiv:2407.01082). Temperature 0 takes the likeliest token.
struct SampleOptions {
  double temperature = 0;
  int64_t top_k = 0;          // 0: all
  double top_p = 1;           // keep the likeliest tokens that together have this probability
  double min_p = 0;           // drop tokens less likely than this share of the likeliest
  double repeat_penalty = 1;  // divides positive, multiplies negative logits of recent tokens
  int64_t repeat_last = 64;   // how many recent tokens; at most Session::kRecent
  int64_t seed = 0;
};

/// Throws on values outside their range, naming the option.
void check(const SampleOptions& options);

class Sampler {
 public:
  explicit Sampler(SampleOptions options) : options_(options), random_(static_cast<uint64_t>(options.seed)) { check(options); }
  /// logits [V]; the same options, seed and logits give the same tokens on every machine.
  Id next(const Tensor& logits, std::span<const Id> recent);

 private:
  SampleOptions options_;
  std::mt19937_64 random_;
};

}  // namespace longview
