// Training texts from hostile bytes: the first byte says what kind of file the rest is. Anything but an Error is a finding.
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "longview/base/check.h"
#include "longview/text/text_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longview;
  namespace fs = std::filesystem;
  constexpr std::array kNames{"a.txt", "a.jsonl", "a.tar", "a.tar.xz", "a.tar.zst", "a.txt.xz", "a.txt.zst"};
  if (size == 0) return 0;
  static const fs::path folder = fs::temp_directory_path() / ("longview-fuzz-texts-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const fs::path path = folder / kNames.at(data[0] % kNames.size());
  std::ofstream(path, std::ios::binary) << std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    size_t bytes = 0;
    each_text({.path = path.string()}, [&](std::string_view name, std::string_view text) { bytes += name.size() + text.size(); });
  } catch (const Error&) {
  }
  fs::remove_all(folder);
  return 0;
}
