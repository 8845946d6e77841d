// Folders that appear whole or not at all.
#pragma once

#include <filesystem>

namespace longview {

/// Files are written into a temporary folder beside `path`; commit() gives it the name. A crash at any moment leaves under that name
/// what was there before, or all of what was written.
class AtomicFolder {
 public:
  /// Throws when the folder that will hold it does not exist or may not be written to, and when `path` is a file.
  explicit AtomicFolder(const std::filesystem::path& path);
  ~AtomicFolder();  // removes the temporary if commit() was not reached
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  /// Where a file of the folder is to be written until commit().
  std::filesystem::path operator/(const std::filesystem::path& name) const { return temporary_ / name; }
  /// A folder that had the name before is removed.
  void commit();

 private:
  std::filesystem::path path_, temporary_;
};

}  // namespace longview
