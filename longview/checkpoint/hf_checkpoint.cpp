// A Hugging Face folder as a Checkpoint.
#include "longview/base/check.h"
#include "longview/checkpoint/formats.h"

namespace longview {

Checkpoint open_hugging_face(const std::filesystem::path& path) {
  fail("[checkpoint] '{}': folders are not read yet", path.string());
}

}  // namespace longview
