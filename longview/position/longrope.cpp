// LongRoPE (arXiv:2402.13753): each pair has its own divisor, found by search; one list for texts up to the original length, one for
// longer ones, chosen by the real length.
//   theta'_m = theta_m / list_m      scale = a^2,  a = sqrt(1 + ln(factor) / ln(original))
#include "longview/position/methods.h"

namespace longview {
namespace {

struct LongRopeConfig {
  double factor = 4;
  int64_t original = 0;
  std::string short_list = "1", long_list;
  double attention_factor = 0;
  void fields(auto&& field) {
    field("factor", factor, "how many times the original length is stretched, at least 1");
    field("original", original, "length from which on the long list holds; 0: the trained length");
    field("short", short_list, "divisors up to the original length: one for all pairs, or D/2 of them: 1/1.05/1.2/...");
    field("long", long_list, "divisors beyond it; empty: the factor for all pairs");
    field("attention_factor", attention_factor, "multiplies cos and sin; 0: sqrt(1 + ln(factor) / ln(original))");
  }
};

Tensor divisors(const std::string& text, std::string_view key, int64_t pairs) {
  std::vector<double> out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    out.push_back(to_real("longrope", key, text.substr(begin, end - begin)));
    LV_CHECK(out.back() > 0, "[longrope] the divisors of '{}' must be above 0; got {}", key, out.back());
    begin = end + 1;
  }
  LV_CHECK(out.size() == 1 || static_cast<int64_t>(out.size()) == pairs,
           "[longrope] '{}' must have 1 or {} divisors, one a pair; got {}", key, pairs, out.size());
  return at::tensor(out, at::kDouble).expand({pairs});  // [D/2]
}

struct LongRope final : Frequencies {
  LongRope(const LongRopeConfig& config, const Rotary& rotary)
      : Frequencies(rotary),
        c(config),
        short_list(divisors(c.short_list, "short", rotary.head_width / 2)),
        long_list(divisors(c.long_list, "long", rotary.head_width / 2)) {}
  Tensor theta(int64_t length) const override {
    return Position::theta(length) / (length > c.original ? long_list : short_list);  // [D/2]
  }
  Tensor scale(const Tensor& i, int64_t length) const override {
    return Position::scale(i, length) * (c.attention_factor * c.attention_factor);  // [Tq]
  }
  LongRopeConfig c;
  Tensor short_list, long_list;  // f64 [D/2]
};

}  // namespace

std::shared_ptr<const Position> make_longrope(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(LongRopeConfig{}, setting);
  LV_CHECK(c.factor >= 1, "[longrope] factor must be at least 1; got {}", c.factor);
  LV_CHECK(c.original >= 0, "[longrope] original must not be negative; got {}", c.original);
  LV_CHECK(c.attention_factor >= 0, "[longrope] attention_factor must not be negative; got {}", c.attention_factor);
  if (c.original == 0) c.original = rotary.trained_length;
  if (c.long_list.empty()) c.long_list = fmt::format("{}", c.factor);
  if (c.attention_factor == 0)
    c.attention_factor =
        c.factor > 1 && c.original > 1 ? std::sqrt(1 + std::log(c.factor) / std::log(static_cast<double>(c.original))) : 1;
  return made<LongRope>("longrope", c, rotary);
}

}  // namespace longview
