// What this machine and this process are: instruction sets, memory in use.
#pragma once

#include <cstdint>
#include <string>

namespace longview {

/// Call before anything touches torch. Some virtual machines advertise AMX but leave CPUID leaf 0x1D empty, and oneDNN then
/// dies with SIGILL on its first bf16 operation; this caps oneDNN's instruction set there (ONEDNN_MAX_CPU_ISA, unless set).
/// It also keeps large blocks out of the heap that the small ones share (base/allocator.h keeps them for the next tensor).
void prepare_process();

/// Widest instruction set our kernels may use here: "amx", "avx512", "avx2" or "baseline"; LONGVIEW_ISA lowers it.
std::string instruction_set();

/// Resident memory of this process in bytes: now, and its peak so far (0 where the system does not tell).
int64_t rss_bytes();
int64_t rss_peak_bytes();
/// Gives freed memory back to the system and lets the peak begin anew from what is resident now.
void reset_rss_peak();

}  // namespace longview
