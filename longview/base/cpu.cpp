#include "longview/base/cpu.h"

#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "longview/base/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace longview {
namespace {

#if defined(__x86_64__)
bool advertises_amx_without_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (1u << 24)) == 0) return false;
  return !__get_cpuid_count(0x1D, 1, &a, &b, &c, &d) || (a | b | c) == 0;
}

/// bf16 tiles, and the system's leave to use them (asked for once; it holds for every thread of the process).
bool has_amx() {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned kBoth = (1u << 22) | (1u << 24);         // AMX-BF16 and AMX-TILE in leaf 7's edx
    constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kBoth) == kBoth &&
           ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return has;
}

#if defined(__clang__)  // clang 14 does not know the levels
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"); }
#else
bool has_avx512() { return __builtin_cpu_supports("x86-64-v4"); }
bool has_avx2() { return __builtin_cpu_supports("x86-64-v3"); }
#endif
#else
bool advertises_amx_without_tiles() { return false; }
#endif

int64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(key, 0) == 0) return std::stoll(line.substr(key.size())) * 1024;
  return 0;
}

}  // namespace

void prepare_process() {
  if (advertises_amx_without_tiles()) ::setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16", 0);
#if defined(__GLIBC__)
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  ::mallopt(M_ARENA_MAX, 2);
#endif
}

std::string instruction_set() {
#if defined(__x86_64__)
  std::string best = has_avx512() && has_amx() ? "amx" : has_avx512() ? "avx512" : has_avx2() ? "avx2" : "baseline";
#else
  std::string best = "baseline";
#endif
  const char* asked = std::getenv("LONGVIEW_ISA");
  if (asked == nullptr || *asked == '\0') return best;
  const std::string wanted = asked;
  const auto rank = [](const std::string& name) {
    static constexpr std::array<std::string_view, 4> kNames{"baseline", "avx2", "avx512", "amx"};
    return std::find(kNames.begin(), kNames.end(), name) - kNames.begin();
  };
  LV_CHECK(rank(wanted) < 4, "[cpu] LONGVIEW_ISA must be baseline, avx2, avx512 or amx; got '{}'", wanted);
  return rank(wanted) < rank(best) ? wanted : best;
}

int64_t rss_bytes() { return status_bytes("VmRSS:"); }
int64_t rss_peak_bytes() { return status_bytes("VmHWM:"); }

void reset_rss_peak() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace longview
