// Dynamic YaRN (arXiv:2309.00071, section 3.3): YaRN whose factor follows the length l of the cache.
//   factor = max(1, l / original)
#include "longview/position/methods.h"

namespace longview {
namespace {

struct DynamicYarnConfig {
  int64_t original = 0;
  void fields(auto&& field) { field("original", original, "length up to which nothing changes; 0: the trained length"); }
};

struct DynamicYarn final : Frequencies {
  DynamicYarn(DynamicYarnConfig config, Rotary rotary) : Frequencies(std::move(rotary)), c(config) {}
  Tensor theta(int64_t length) const override { return stretched(length)->theta(length); }                      // [D/2]
  Tensor scale(const Tensor& i, int64_t length) const override { return stretched(length)->scale(i, length); }  // [Tq]
  std::shared_ptr<const Position> stretched(int64_t length) const {
    const double factor = std::max(1.0, static_cast<double>(length) / static_cast<double>(c.original));
    return make_position(fmt::format("yarn:factor={},original={}", factor, c.original), rotary());
  }
  DynamicYarnConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_dynamic_yarn(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(DynamicYarnConfig{}, setting);
  LV_CHECK(c.original >= 0, "[dynamic_yarn] original must not be negative; got {}", c.original);
  if (c.original == 0) c.original = rotary.trained_length;
  return made<DynamicYarn>("dynamic_yarn", c, rotary);
}

}  // namespace longview
