// The loops for any machine: 4 lanes of f32.
#define LV_WIDTH 4
#include "longview/kernels/isa/attention.h"
#include "longview/kernels/isa/linear.h"
#include "longview/kernels/isa/memory.h"
#include "longview/kernels/isa/rows.h"

namespace longview::kernels {
namespace {

void attend(const AttentionTile& t) { attend_tile<4, 2, 6>(t); }
void multiply(const PanelProduct* panels, int64_t count) { multiply_panels<4, 2>(panels, count); }

void memory_read(const MemoryRead& p) { read_memory<4, 2>(p); }
void memory_write(const MemoryWrite& p) { write_memory<4, 2>(p); }

}  // namespace

const Loops& loops_baseline() {
  static constexpr Loops kLoops{rotate_keys, attend, multiply, norm_row, gate_row, log_sum_exp, elu1, memory_read, memory_write};
  return kLoops;
}

}  // namespace longview::kernels
