// The loops for amx: those of avx512, and matrix tiles where there are many rows.
#if defined(__x86_64__)
#define LV_WIDTH 16
#include "longview/kernels/isa/attention.h"
#include "longview/kernels/isa/linear.h"
#include "longview/kernels/isa/memory.h"
#include "longview/kernels/isa/rows.h"
#include "longview/kernels/isa/tiles.h"

namespace longview::kernels {
namespace {

void attend(const AttentionTile& t) { t.q_tiles != nullptr ? attend_tiles(t) : attend_tile<8, 2, 14>(t); }
void multiply(const PanelProduct* panels, int64_t count) {
  panels[0].x_tiles != nullptr ? multiply_panels_tiles(panels, count) : multiply_panels<12, 2>(panels, count);
}

void memory_read(const MemoryRead& p) { read_memory<12, 2>(p); }
void memory_write(const MemoryWrite& p) { write_memory<12, 2>(p); }

}  // namespace

const Loops& loops_amx() {
  static constexpr Packing kPacking{pack_rows, pack_columns, pack_transposed};
  static constexpr Loops kLoops{rotate_keys, attend, multiply,    norm_row,     gate_row,
                                log_sum_exp, elu1,   memory_read, memory_write, &kPacking};
  return kLoops;
}

}  // namespace longview::kernels
#endif
