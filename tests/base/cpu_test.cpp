// What this machine and process are.
#include "longview/base/cpu.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "longview/base/check.h"

namespace longview {
namespace {

/// Sets LONGVIEW_ISA for a scope and puts it back as it was.
class AskedFor {
 public:
  explicit AskedFor(const char* name) {
    if (const char* old = std::getenv("LONGVIEW_ISA")) before_ = old, was_set_ = true;
    ::setenv("LONGVIEW_ISA", name, 1);
  }
  ~AskedFor() { was_set_ ? ::setenv("LONGVIEW_ISA", before_.c_str(), 1) : ::unsetenv("LONGVIEW_ISA"); }

 private:
  std::string before_;
  bool was_set_ = false;
};

TEST(Cpu, InstructionSetCanBeLoweredAndNotRaised) {
  std::string widest;
  {
    const AskedFor none("");
    widest = instruction_set();
  }
  EXPECT_TRUE(widest == "baseline" || widest == "avx2" || widest == "avx512" || widest == "amx") << widest;
  const AskedFor baseline("baseline");
  EXPECT_EQ(instruction_set(), "baseline");
  const AskedFor most("amx");
  EXPECT_EQ(instruction_set(), widest);
}

TEST(Cpu, AnUnknownInstructionSetIsAnError) {
  const AskedFor wrong("sse9");
  EXPECT_THROW(instruction_set(), Error);
}

TEST(Cpu, ResidentMemoryFollowsUseAndItsPeakStays) {
  const int64_t before = rss_bytes();
  constexpr int64_t kSize = 600 << 20;  // above the size that the allocator keeps
  {
    std::vector<char> used(kSize, 1);
    EXPECT_GT(rss_bytes(), before + kSize / 2);
  }
  EXPECT_GT(before, 0);
  EXPECT_LT(rss_bytes(), before + kSize / 2);
  EXPECT_GT(rss_peak_bytes(), before + kSize / 2);
}

}  // namespace
}  // namespace longview
