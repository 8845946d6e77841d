// Texts to train on: files, folders, JSON lines and archives, one text after the other in an order that is always the same.
#pragma once

#include <compare>
#include <vector>

#include "longview/text/archive.h"

namespace longview {

struct TextFiles {
  std::string path{};          // files and folders, several joined by ':'; a folder is read recursively, sorted by path
  std::string field = "text";  // of the lines of .jsonl files
  std::string only{};  // texts that have this in their path below `path` (a file: in its name), archives' members too; "": all
  auto operator<=>(const TextFiles&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 takes its 0 for a pointer
};

struct FileStamp {
  std::string path;
  uint64_t size = 0;
  int64_t modified = 0;  // nanoseconds
};

/// The files as they are now. Throws on a path that does not exist and on a folder without files; hidden files are left out.
std::vector<FileStamp> stamps(const TextFiles& files);

/// Every text with its name: `path`, `archive/member`, `path:line`. By name, .tar, .tar.xz and .tar.zst are archives, .jsonl is a text
/// a line, .xz and .zst are unpacked; anything else is a text. Empty ones are left out. Throws on what is no text, and on a bad
/// line, naming it.
void each_text(const TextFiles& files, const TakeText& take);

}  // namespace longview
