// Runs the tests of one program, after the process has been prepared as the program itself prepares it.
#include <gtest/gtest.h>

#include "longview/base/cpu.h"

int main(int count, char** arguments) {
  longview::prepare_process();
  ::testing::InitGoogleTest(&count, arguments);
  return RUN_ALL_TESTS();
}
