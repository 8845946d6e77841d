// Files: mapped for reading, replaced atomically when written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace longview {

/// Tells the system that these mapped bytes are not needed any more (they are read again if touched).
void release_pages(std::span<const uint8_t> part);

/// A read-only mapping of a whole file; copies share it. Throws on a missing file or a folder; an empty file maps to no bytes.
/// A pipe is read to its end and kept in memory.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  std::span<const uint8_t> bytes() const { return {data_.get(), size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_.get()), size_}; }
  const std::filesystem::path& path() const { return path_; }
  void release(std::span<const uint8_t> part) const { release_pages(part); }

 private:
  std::filesystem::path path_;
  std::shared_ptr<const uint8_t> data_;
  size_t size_ = 0;
};

/// The whole file as text. Throws on a missing file or a folder.
std::string read_text(const std::filesystem::path& path);

/// Writes a file so that a crash at any moment leaves the old content or the new one: a temporary beside it, fsync, rename. A link
/// stays and what it points to is written; a device or a pipe is written to as it is.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();  // removes the temporary if commit() was not reached
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Throws when the disk is full or the file cannot be written.
  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace longview
