#include "longview/checkpoint/export_target.h"

#include <algorithm>

#include "longview/base/check.h"
#include "longview/base/text_format.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

fs::path place_of(const fs::path& path) {
  const fs::path out = fs::weakly_canonical(path);
  return out.has_filename() ? out : out.parent_path();
}

bool is_within(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

}  // namespace

void check_apart(const fs::path& source, const fs::path& target) {
  if (source.empty()) return;  // a model that was made in memory
  const fs::path from = place_of(source), to = place_of(target);
  LV_CHECK(from != to, "[convert] '{}' is what is read; give another place to write", target.string());
  LV_CHECK(!is_within(from, to), "[convert] '{}' holds what is read; give another place to write", target.string());
  LV_CHECK(!is_within(to, from), "[convert] '{}' is inside what is read; give another place to write", target.string());
}

void check_room(const fs::path& folder, int64_t needed) {
  std::error_code error;
  const auto room = fs::space(folder, error);
  LV_CHECK(error || static_cast<int64_t>(room.available) >= needed, "[convert] '{}' must hold {}; its disk has {} left",
           folder.string(), bytes_text(needed), bytes_text(static_cast<int64_t>(room.available)));
}

}  // namespace longview
