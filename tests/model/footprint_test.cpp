// Table 1 of the Infini-attention paper, by the program's arithmetic.
#include "longview/model/footprint.h"

#include <gtest/gtest.h>

namespace longview {
namespace {

TEST(Footprint, IsThePapers) {
  int64_t infini = 0, memorizing = 0;
  for (const auto& one : footprints(presets()[0], 65000)) {
    if (one.method == "infini") infini = one.values;
    if (one.method == "memorizing") memorizing = one.values;
    if (one.method == "transformer_xl") EXPECT_EQ(one.values, 50331648);   // 50M
    if (one.method == "recurrent_memory") EXPECT_EQ(one.values, 2457600);  // 2.5M
  }
  EXPECT_EQ(infini, 1585152);           // 1.6M
  EXPECT_EQ(memorizing, 183451648);     // 183M
  EXPECT_EQ(memorizing / infini, 115);  // 183M / 1.6M is the paper's 114
}

}  // namespace
}  // namespace longview
