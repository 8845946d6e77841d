// T5's relative bias (arXiv:1910.10683): distances fall into buckets, each with a learned bias a head. Causal buckets: the first half
// of them are exact distances, the others grow with the logarithm up to `distance`, and all beyond it share the last.
//   bias_h(i,j) = table[h, bucket(i - j)]      bucket(d) = d, or n/2 + floor(ln(d / (n/2)) / ln(distance / (n/2)) n/2), at most n - 1
// The logarithm is f32, as in T5's code: a few distances at the edges of buckets fall otherwise in f64. T5 does not divide scores by
// sqrt(D), which its initialisation makes up for; here they are divided as everywhere. The table begins at 0, which is NoPE.
#include "longview/position/bias.h"
#include "longview/position/methods.h"

namespace longview {
namespace {

struct T5Config {
  int64_t buckets = 32, distance = 128;
  void fields(auto&& field) {
    field("buckets", buckets, "how many biases a head has");
    field("distance", distance, "keys so far away and beyond share the last bucket");
  }
};

struct T5 final : DistanceBias {
  T5(T5Config config, const Rotary& rotary) : DistanceBias(rotary), c(config) {}

  std::vector<LearnedValue> learned() const override {
    return {{"t5_table", at::zeros({rotary().heads, c.buckets}, at::kFloat)}};  // [H,buckets]
  }

  Tensor bucket(const Tensor& d) const {
    const int64_t exact = c.buckets / 2;
    const auto first = static_cast<double>(exact);
    const Tensor growth = at::log(d.to(at::kFloat) / first) / std::log(static_cast<double>(c.distance) / first);  // [n]
    const Tensor far = (growth * static_cast<double>(c.buckets - exact)).clamp_min(0).to(at::kLong) + exact;      // [n]
    return at::where(d < first, d.to(at::kLong), far.clamp_max(c.buckets - 1));                                   // [n]
  }

  Tensor of_distance(const Tensor& d) const override {
    return value("t5_table", d.device()).index_select(1, bucket(d));  // [H,n]
  }

  T5Config c;
};

}  // namespace

std::shared_ptr<const Position> make_t5(const Setting& setting, const Rotary& rotary) {
  const auto c = with_values(T5Config{}, setting);
  LV_CHECK(c.buckets >= 2 && c.buckets % 2 == 0, "[t5] buckets must be even and at least 2; got {}", c.buckets);
  LV_CHECK(c.distance > c.buckets / 2, "[t5] distance must be more than the {} exact buckets; got {}", c.buckets / 2, c.distance);
  return made<T5>("t5", c, rotary);
}

}  // namespace longview
