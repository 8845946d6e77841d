// ALiBi (arXiv:2108.12409): every head pays a fixed price for each token of distance. Not divided by sqrt(D), not trained.
//   bias_h(i,j) = -m_h (i - j)        m_h = 2^(-8h/H), h = 1..H
// For H that is no power of two the authors' code takes the slopes of the power below, P, and fills up with every second one of 2P's.
#include "longview/position/bias.h"
#include "longview/position/methods.h"

namespace longview {
namespace {

struct AlibiConfig {
  void fields(auto&&) {}
};

std::vector<double> slopes(int64_t heads) {
  int64_t power = 1;
  while (power * 2 <= heads) power *= 2;
  std::vector<double> out;
  for (int64_t h = 1; h <= power; ++h) out.push_back(std::exp2(-8.0 * static_cast<double>(h) / static_cast<double>(power)));
  for (int64_t h = 1; static_cast<int64_t>(out.size()) < heads; h += 2)
    out.push_back(std::exp2(-4.0 * static_cast<double>(h) / static_cast<double>(power)));
  return out;
}

struct Alibi final : DistanceBias {
  Alibi(AlibiConfig, const Rotary& rotary) : DistanceBias(rotary), m(at::tensor(slopes(rotary.heads), at::kDouble)) {}
  Tensor of_distance(const Tensor& d) const override { return m.to(d.device(), at::kDouble, true).unsqueeze(-1) * -d; }  // [H,n]
  Tensor m;                                                                                                              // [H]
};

}  // namespace

std::shared_ptr<const Position> make_alibi(const Setting& setting, const Rotary& rotary) {
  return made<Alibi>("alibi", with_values(AlibiConfig{}, setting), rotary);
}

}  // namespace longview
