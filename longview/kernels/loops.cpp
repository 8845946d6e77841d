// Which loops run here.
#include "longview/kernels/loops.h"

#include "longview/base/cpu.h"

namespace longview::kernels {

const Loops& loops() {
  static const Loops& chosen = [&]() -> const Loops& {
#if defined(__x86_64__)
    if (instruction_set() == "amx") return loops_amx();
    if (instruction_set() == "avx512") return loops_avx512();
    if (instruction_set() == "avx2") return loops_avx2();
#endif
    return loops_baseline();
  }();
  return chosen;
}

}  // namespace longview::kernels
