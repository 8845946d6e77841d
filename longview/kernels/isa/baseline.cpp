// The loops for any machine: 4 lanes of f32.
#define LV_WIDTH 4
#include "longview/kernels/isa/attention.h"
#include "longview/kernels/isa/linear.h"
#include "longview/kernels/isa/rows.h"

namespace longview::kernels {
namespace {

void attend(const AttentionTile& t) { attend_tile<4, 2, 6>(t); }
void multiply(const PanelProduct* panels, int64_t count) { multiply_panels<4, 2>(panels, count); }

}  // namespace

const Loops& loops_baseline() {
  static constexpr Loops kLoops{rotate_keys, attend, multiply, norm_row, gate_row, log_sum_exp};
  return kLoops;
}

}  // namespace longview::kernels
