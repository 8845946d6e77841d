// A folder of its own for each test.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

namespace longview::testing {

class TemporaryFolder : public ::testing::Test {
 protected:
  std::filesystem::path root;
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "longview-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root = name;
  }
  void TearDown() override { std::filesystem::remove_all(root); }
  size_t entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(root), std::filesystem::directory_iterator{}));
  }
};

}  // namespace longview::testing
