#include "longview/base/folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "longview/base/check.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

/// From the root, without the slash at the end that a shell's completion leaves; a link is followed, so that it stays.
fs::path named(const fs::path& path) {
  fs::path out = fs::weakly_canonical(fs::absolute(path));
  return out.has_filename() ? out : out.parent_path();
}

void sync(const fs::path& folder) {
  const int at = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) return;
  ::fsync(at);
  ::close(at);
}

}  // namespace

AtomicFolder::AtomicFolder(const fs::path& path) : path_(named(path)) {
  std::error_code error;
  LV_CHECK(!fs::exists(path_) || fs::is_directory(path_), "[file] '{}' is a file; give a folder", path_.string());
  LV_CHECK(fs::is_directory(path_.parent_path()), "[file] cannot write '{}': there is no folder '{}'", path_.string(),
           path_.parent_path().string());
  const fs::path temporary = path_.string() + fmt::format(".{}.part", ::getpid());
  fs::remove_all(temporary, error);  // of a process of the same number that was killed
  fs::create_directory(temporary, error);
  LV_CHECK(!error, "[file] cannot write '{}': {}", path_.string(), error.message());
  temporary_ = temporary;
}

AtomicFolder::~AtomicFolder() {
  std::error_code none;
  if (!temporary_.empty()) fs::remove_all(temporary_, none);
}

void AtomicFolder::commit() {
  sync(temporary_);
  std::error_code error;
  if (::rename(temporary_.c_str(), path_.c_str()) == 0) {  // an empty folder is replaced, too
    temporary_.clear();
  } else {
    const int exchanged = ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE);
    LV_CHECK(exchanged == 0, "[file] cannot put '{}' in place: {}", path_.string(), std::strerror(errno));
    fs::remove_all(temporary_, error);  // what was there before
    temporary_.clear();
  }
  sync(path_.parent_path());
}

}  // namespace longview
