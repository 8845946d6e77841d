// llama2.c's two files from hostile bytes: the model, and after the first "TOKENIZER" its tokenizer. Anything but an Error is a finding.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "longview/base/check.h"
#include "longview/base/file.h"
#include "longview/checkpoint/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longview;
  namespace fs = std::filesystem;
  constexpr std::string_view kBetween = "TOKENIZER";
  static const fs::path folder = fs::temp_directory_path() / ("longview-fuzz-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t cut = text.find(kBetween);
  std::ofstream(folder / "model.bin", std::ios::binary) << text.substr(0, cut);
  if (cut == std::string_view::npos) fs::remove(folder / "tokenizer.bin");
  else std::ofstream(folder / "tokenizer.bin", std::ios::binary) << text.substr(cut + kBetween.size());
  try {
    const Checkpoint checkpoint = open_checkpoint(folder / "model.bin");
    const auto tokenizer = make_tokenizer(checkpoint.tokenizer);
    tokenizer->decode(tokenizer->encode("a b\xff<s> 12"));
  } catch (const Error&) {
  }
  fs::remove_all(folder);
  return 0;
}
