// The tokens of all texts to train on, made once and kept in a file that is mapped.
#pragma once

#include <filesystem>
#include <span>

#include "longview/base/file.h"
#include "longview/text/text_files.h"
#include "longview/text/tokenizer.h"

namespace longview {

/// Tokens of texts one after the other, 1, 2 or 4 bytes each by the size of the vocabulary. Copies share them.
class TokenStore {
 public:
  int64_t size() const { return tokens_; }
  int64_t texts() const { return static_cast<int64_t>(ends_.size()); }
  /// Where a text's tokens begin and end.
  int64_t begin(int64_t text) const { return text == 0 ? 0 : end(text - 1); }
  int64_t end(int64_t text) const { return static_cast<int64_t>(ends_[static_cast<size_t>(text)]); }
  int64_t length(int64_t text) const { return end(text) - begin(text); }
  Id operator[](int64_t at) const {
    const auto i = static_cast<size_t>(at);
    if (width_ == 1) return bytes_[i];
    if (width_ == 2) return reinterpret_cast<const uint16_t*>(bytes_.data())[i];
    return static_cast<Id>(reinterpret_cast<const uint32_t*>(bytes_.data())[i]);
  }

 private:
  friend struct TokenFile;
  std::shared_ptr<const void> owner_;
  std::span<const uint8_t> bytes_;
  std::span<const uint64_t> ends_;
  int64_t tokens_ = 0, width_ = 1;
};

struct TokenCache {
  std::filesystem::path folder;                  // made if need be; "": tokens stay in memory
  std::function<void(std::string_view)> note{};  // is told why a cache is made again
};

/// The tokens of the texts, no BOS or EOS between them. A cache that is there is used if the files (path, size, time) and the
/// tokenizer are the same and its checksum is right; else it is made again. Throws as each_text does, and on a full disk.
TokenStore tokens_of(const TextFiles& files, const Tokenizer& tokenizer, const TokenCache& cache);

}  // namespace longview
