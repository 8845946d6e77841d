#include "longview/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "longview/base/check.h"

namespace longview {
namespace {

std::string reason() { return std::strerror(errno); }

int open_for_reading(const std::filesystem::path& path, struct stat& info) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  LV_CHECK(descriptor >= 0, "[file] cannot read '{}': {}", path.string(), reason());
  if (::fstat(descriptor, &info) != 0 || S_ISDIR(info.st_mode)) {
    ::close(descriptor);
    fail("[file] '{}' is a folder; give a file", path.string());
  }
  return descriptor;
}

void write_all(int descriptor, const void* data, size_t size, const std::filesystem::path& path) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t wrote = ::write(descriptor, at, size);
    if (wrote < 0 && errno == EINTR) continue;
    LV_CHECK(wrote > 0, "[file] cannot write '{}': {}", path.string(), reason());
    at += wrote;
    size -= static_cast<size_t>(wrote);
  }
}

/// A pipe has no size and cannot be mapped: a file in memory with its bytes can, and its pages may be given back like any other's.
int piped(int pipe, struct stat& info, const std::filesystem::path& path) {
  const int memory = ::memfd_create("longview", MFD_CLOEXEC);
  LV_CHECK(memory >= 0, "[file] cannot keep '{}' in memory: {}", path.string(), reason());
  char buffer[1 << 16];
  for (ssize_t got = 0; (got = ::read(pipe, buffer, sizeof buffer)) > 0;) write_all(memory, buffer, static_cast<size_t>(got), path);
  ::close(pipe);
  ::fstat(memory, &info);
  return memory;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  struct stat info {};
  int descriptor = open_for_reading(path, info);
  if (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || ::isatty(descriptor) != 0) descriptor = piped(descriptor, info, path);
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const std::string why = mapped == MAP_FAILED ? reason() : "";
    ::close(descriptor);
    LV_CHECK(why.empty(), "[file] cannot map '{}': {}", path.string(), why);
    data_ = {static_cast<const uint8_t*>(mapped), [size = size_](const uint8_t* at) { ::munmap(const_cast<uint8_t*>(at), size); }};
  } else {
    ::close(descriptor);
  }
}

void release_pages(std::span<const uint8_t> part) {
  if (part.empty()) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(part.data()) / page * page;
  const auto last = reinterpret_cast<uintptr_t>(part.data() + part.size());
  ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

std::string read_text(const std::filesystem::path& path) {
  struct stat info {};
  const int descriptor = open_for_reading(path, info);
  std::string out;
  char buffer[1 << 16];
  ssize_t got = 0;
  while ((got = ::read(descriptor, buffer, sizeof buffer)) > 0) out.append(buffer, static_cast<size_t>(got));
  const std::string why = got < 0 ? reason() : "";
  ::close(descriptor);
  LV_CHECK(why.empty(), "[file] cannot read '{}': {}", path.string(), why);
  return out;
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  LV_CHECK(!std::filesystem::is_directory(path_), "[file] '{}' is a folder; give a file", path_.string());
  std::error_code none;
  if (std::filesystem::is_symlink(path_, none)) path_ = std::filesystem::weakly_canonical(path_);
  const bool is_device = std::filesystem::exists(path_, none) && !std::filesystem::is_regular_file(path_, none);
  if (!is_device) temporary_ = path_.string() + fmt::format(".{}.part", ::getpid());
  const auto& opened = is_device ? path_ : temporary_;
  descriptor_ = ::open(opened.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  LV_CHECK(descriptor_ >= 0, "[file] cannot write '{}': {}", path_.string(), reason());
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t size) { write_all(descriptor_, data, size, path_); }

void AtomicFile::commit() {
  if (temporary_.empty()) {
    ::close(descriptor_);
    descriptor_ = -1;
    return;
  }
  LV_CHECK(::fsync(descriptor_) == 0, "[file] cannot write '{}': {}", path_.string(), reason());
  LV_CHECK(::rename(temporary_.c_str(), path_.c_str()) == 0, "[file] cannot put '{}' in place: {}", path_.string(), reason());
  ::close(descriptor_);
  descriptor_ = -1;
  auto folder = path_.parent_path();
  const int at = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at >= 0) {
    ::fsync(at);  // so that the new name survives a power cut
    ::close(at);
  }
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace longview
