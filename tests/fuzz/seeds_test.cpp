// Every fuzz target on every seed and on seeds with damage, without libFuzzer, so that each build and CI run has them.
// A target is an ordinary libFuzzer file, included here under a name of its own: one block and one line of the table for each.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "longview/base/file.h"

#define LLVMFuzzerTestOneInput gguf_target
#include "tests/fuzz/gguf_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput hf_config_target
#include "tests/fuzz/hf_config_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput llama2c_target
#include "tests/fuzz/llama2c_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput safetensors_target
#include "tests/fuzz/safetensors_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput text_files_target
#include "tests/fuzz/text_files_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput tokenizer_json_target
#include "tests/fuzz/tokenizer_json_fuzz.cpp"
#undef LLVMFuzzerTestOneInput

namespace longview {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = LONGVIEW_SOURCE "/tests/fuzz";
const std::map<std::string, int (*)(const uint8_t*, size_t)> kTargets = {{"gguf", gguf_target},
                                                                         {"hf_config", hf_config_target},
                                                                         {"llama2c", llama2c_target},
                                                                         {"safetensors", safetensors_target},
                                                                         {"text_files", text_files_target},
                                                                         {"tokenizer_json", tokenizer_json_target}};

void feed(int (*target)(const uint8_t*, size_t), const std::vector<uint8_t>& bytes) {
  const std::vector<uint8_t> own(bytes);  // a block of its exact size, so that a read past the end is seen
  EXPECT_EQ(target(own.data(), own.size()), 0);
}

TEST(FuzzSeeds, EveryTargetIsInTheTable) {
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(!name.ends_with("_fuzz.cpp") || kTargets.contains(name.substr(0, name.size() - 9))) << name;
  }
}

TEST(FuzzSeeds, EveryTargetOnItsSeedsWholeCutAndDamaged) {
  for (const auto& [name, target] : kTargets) {
    size_t seeds = 0;
    for (const auto& entry : fs::directory_iterator(kFolder / "seeds" / name)) {
      const std::string text = read_text(entry.path());
      EXPECT_LE(text.size(), 4096u) << entry.path();
      std::vector<uint8_t> bytes(text.begin(), text.end());
      feed(target, bytes);
      for (size_t at = 0; at < bytes.size(); at += 7) {
        feed(target, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at)});
        const uint8_t kept = std::exchange(bytes[at], static_cast<uint8_t>(255 - bytes[at]));
        feed(target, bytes);
        bytes[at] = kept;
      }
      ++seeds;
    }
    EXPECT_GE(seeds, 1u) << name;
  }
}

}  // namespace
}  // namespace longview
