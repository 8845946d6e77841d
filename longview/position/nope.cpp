// NoPE (arXiv:2305.19466, kexue.fm/archives/10347): no position at all; the causal mask alone tells near from far.
//   score(i,j) = <q_i, k_j> / sqrt(D)
#include "longview/position/bias.h"
#include "longview/position/methods.h"

namespace longview {
namespace {

struct NopeConfig {
  void fields(auto&&) {}
};

struct Nope final : Unrotated {
  Nope(NopeConfig, const Rotary& rotary) : Unrotated(rotary) {}
};

}  // namespace

std::shared_ptr<const Position> make_nope(const Setting& setting, const Rotary& rotary) {
  return made<Nope>("nope", with_values(NopeConfig{}, setting), rotary);
}

}  // namespace longview
