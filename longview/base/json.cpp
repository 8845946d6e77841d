#include "longview/base/json.h"

#include "longview/base/check.h"

namespace longview {

Json parse_json(std::string_view text, std::string_view where) {
  static constexpr int kDeepest = 200;
  LV_CHECK(text.find('\0') == std::string_view::npos, "[json] {}: has a NUL byte", where);  // the parser would take it for the end
  try {
    return Json::parse(text.begin(), text.end(), [](int depth, Json::parse_event_t, Json&) {
      LV_CHECK(depth <= kDeepest, "nests deeper than {}", kDeepest);
      return true;
    });
  } catch (const std::exception& error) {
    fail("[json] {}: {}", where, error.what());
  }
}

}  // namespace longview
