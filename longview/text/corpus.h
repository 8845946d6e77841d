// A text and where it came from: a file is mapped, not read, so a book of any length costs no memory of its own.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "longview/base/file.h"

namespace longview {

/// Throws on what is no text: NUL bytes, or mostly not UTF-8 (looked for at the beginning, in the middle and at the end).
void check_is_text(std::string_view text, const std::string& path);

/// A text for a model to read. Copies share the file.
class Document {
 public:
  /// A text in memory; `name` is what messages and reports call it.
  Document(std::string name, std::string text);
  /// A text file, byte for byte. Throws on what is missing, a folder, empty, or no text.
  explicit Document(const std::filesystem::path& path);

  const std::string& name() const { return name_; }
  /// Valid while a copy of this document lives.
  std::string_view text() const { return file_ ? file_->text() : std::string_view(*text_); }
  /// Says that the text before byte `end` is not needed any more: its memory is given back (a file is read again if need be).
  void release_before(size_t end) const;

 private:
  std::string name_;
  std::shared_ptr<const std::string> text_;
  std::optional<MappedFile> file_;
};

}  // namespace longview
