// Memory and devices of tensors: large blocks are kept for the next tensor of their size, and devices have names.
#include <gtest/gtest.h>

#include "longview/base/allocator.h"
#include "longview/base/cpu.h"
#include "longview/base/device.h"

namespace longview {
namespace {

struct TensorMemory : ::testing::Test {
  static void SetUpTestSuite() { recycle_large_tensors(); }
};

TEST_F(TensorMemory, ALargeBlockGoesToTheNextTensorOfItsSize) {
  Tensor first = at::empty({1 << 20});  // 4 MiB
  const void* place = first.data_ptr();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(place) % 64, 0U);
  first.reset();
  const Tensor other = at::empty({1 << 19});
  const Tensor again = at::empty({1 << 20});
  EXPECT_EQ(again.data_ptr(), place);
  const Tensor third = at::empty({1 << 20});
  EXPECT_NE(third.data_ptr(), place) << "in use";
}

TEST_F(TensorMemory, NoMoreThanALimitIsKept) {
  constexpr int64_t kMiB = 1 << 20;
  reset_rss_peak();
  const int64_t before = rss_bytes();
  {
    std::vector<Tensor> many;
    for (int n = 0; n < 10; ++n) many.push_back(at::ones({8 * kMiB}));  // 32 MiB each
    EXPECT_GT(rss_bytes(), before + 300 * kMiB);
  }
  EXPECT_LT(rss_bytes(), before + 100 * kMiB);
}

TEST_F(TensorMemory, ContentsAreWhatWasWritten) {
  const Tensor x = at::arange(3 << 20, at::kLong), y = x.clone();
  EXPECT_TRUE(at::equal(x, y));
  EXPECT_EQ(x.sum().item<int64_t>(), (int64_t{3} << 20) * ((3 << 20) - 1) / 2);
}

TEST(Device, NamesAreUnderstoodOrRefused) {
  EXPECT_TRUE(open_device("cpu").is_cpu());
  EXPECT_EQ(device_text(open_device("cpu")), "cpu");
  EXPECT_THROW(open_device("tpu"), Error);
  EXPECT_THROW(open_device(""), Error);
  const at::Device chosen = open_device("auto");
  if (!chosen.is_cpu()) return;
  try {
    open_device("cuda");
    ADD_FAILURE() << "auto found no GPU";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("[device] cuda cannot be used: "), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace longview
