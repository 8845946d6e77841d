// config.json from hostile bytes: sizes and rotary scaling. Anything but an Error is a finding.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "longview/base/check.h"
#include "longview/base/json.h"
#include "longview/checkpoint/hf_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longview;
  try {
    config_from_json(parse_json({reinterpret_cast<const char*>(data), size}, "config.json"), "config.json");
  } catch (const Error&) {
  }
  return 0;
}
