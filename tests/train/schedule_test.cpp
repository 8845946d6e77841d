// Every schedule: warm-up in a line, then down to the least.
#include "longview/train/schedule.h"

#include <gtest/gtest.h>

namespace longview {
namespace {

TEST(Schedule, EveryShapeBeginsAtItsRateAndEndsAtTheLeast) {
  for (const auto& entry : schedules()) {
    ScheduleConfig config;
    config.rate = 2, config.warmup = 10, config.least = 0.1, config.shape = entry.name;
    check(config);
    EXPECT_DOUBLE_EQ(learning_rate(config, 5, 100), 1) << entry.name;
    EXPECT_DOUBLE_EQ(learning_rate(config, 10, 100), 2) << entry.name;
    EXPECT_DOUBLE_EQ(learning_rate(config, 100, 100), entry.name == "constant" ? 2 : 0.2) << entry.name;
    for (int64_t step = 11; step <= 100; ++step)
      EXPECT_LE(learning_rate(config, step, 100), learning_rate(config, step - 1, 100)) << entry.name;
    EXPECT_EQ(learning_rate(config, 89, 100) == 2, entry.name == "constant" || entry.name == "wsd") << entry.name;
  }
}

TEST(Schedule, AnUnknownOneIsRefusedWithTheNearest) {
  ScheduleConfig config;
  config.shape = "cosin";
  try {
    check(config);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("cosine"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace longview
