#include "longview/text/corpus.h"

#include <algorithm>
#include <array>

#include "longview/base/check.h"
#include "longview/text/utf8.h"

namespace longview {
namespace {

constexpr size_t kSample = 1 << 18;

// Bytes of `sample` that are no part of UTF-8; its first and last characters may be cut.
size_t bad_bytes(std::string_view sample) {
  size_t bad = 0;
  while (!sample.empty()) {
    sample.remove_prefix(utf8_prefix(sample));
    if (sample.empty()) break;
    ++bad;
    sample.remove_prefix(1);
  }
  return bad;
}

}  // namespace

void check_is_text(std::string_view text, const std::string& path) {
  const size_t last = text.size() - std::min(text.size(), kSample);
  size_t read = 0, bad = 0;
  for (const size_t begin : std::array<size_t, 3>{0, last / 2, last}) {
    const std::string_view sample = text.substr(begin, kSample);
    const size_t nul = sample.find('\0');
    LV_CHECK(nul == std::string_view::npos,
             "[text] '{}' is not a text file: byte {} is NUL; give plain text in UTF-8 (iconv -f UTF-16 -t UTF-8 if it is UTF-16)",
             path, begin + nul);
    read += sample.size();
    bad += bad_bytes(sample);
  }
  // Latin-1 prose has a few percent of such bytes and may be read; what is compressed or encrypted has over a third.
  LV_CHECK(bad * 5 <= read, "[text] '{}' is not a text file: {:.0f}% of its bytes are not UTF-8; give plain text", path,
           100.0 * static_cast<double>(bad) / static_cast<double>(read));
}

Document::Document(std::string name, std::string text)
    : name_(std::move(name)), text_(std::make_shared<const std::string>(std::move(text))) {}

Document::Document(const std::filesystem::path& path) : name_(path.filename().string()), file_(path) {
  LV_CHECK(!file_->text().empty(), "[text] '{}' is empty", path.string());
  check_is_text(file_->text(), path.string());
}

void Document::release_before(size_t end) const {
  if (file_) file_->release(file_->bytes().first(std::min(end, file_->bytes().size())));
}

}  // namespace longview
