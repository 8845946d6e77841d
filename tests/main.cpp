// Runs the tests of one program, after the process has been prepared as the program itself prepares it.
#include <gtest/gtest.h>

#include "longview/base/cpu.h"

#ifdef LONGVIEW_HAS_TORCH
#include <ATen/Context.h>

namespace {
/// The same random numbers in every run of a test, alone or among others: LibTorch seeds itself from the system.
struct Seeded : testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { at::manual_seed(1); }
};
}  // namespace
#endif

int main(int count, char** arguments) {
  longview::prepare_process();
  ::testing::InitGoogleTest(&count, arguments);
#ifdef LONGVIEW_HAS_TORCH
  ::testing::UnitTest::GetInstance()->listeners().Append(new Seeded);  // which owns it
#endif
  return RUN_ALL_TESTS();
}
