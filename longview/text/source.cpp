#include "longview/text/source.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "longview/base/check.h"
#include "longview/text/utf8.h"

namespace longview {
namespace {

constexpr size_t kBlock = 1 << 16;

// Whether a text may be normalised apart from what stands before `c`: a starter that never is the second of a composed pair.
// Among letters below U+11000 only conjoining jamo compose with the character before them.
bool starts_block(char32_t c) {
  if (c < 0x300) return true;
  if (c >= 0x11000 || (c >= 0x1100 && c <= 0x11FF) || (c >= 0xA960 && c <= 0xA97F) || (c >= 0xD7B0 && c <= 0xD7FF)) return false;
  const auto* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  return property->combining_class == 0 && property->category >= UTF8PROC_CATEGORY_LU && property->category <= UTF8PROC_CATEGORY_LO;
}

// Where the first block of at least `wanted` bytes ends: before a character that starts a block, or where `text` ends.
size_t block_end(std::string_view text, size_t wanted) {
  size_t at = std::min(wanted, text.size());
  // Back to a character's first byte, if the block starts inside one.
  while (at > 0 && at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80 && wanted - at < 3) --at;
  while (at < text.size()) {
    const size_t length = utf8_length(text.substr(at));
    if (at > 0 && length > 0 && starts_block(utf8_decode(text.substr(at), length))) break;
    at += std::max<size_t>(length, 1);
  }
  return at;
}

void append_nfc(std::string& out, std::string_view text) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x80; });
  if (ascii) {
    out += text;
    return;
  }
  utf8proc_uint8_t* made = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                                 &made, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(made, &std::free);
  LV_CHECK(size >= 0, "[tokenizer] cannot normalise the text: {}", utf8proc_errmsg(size));
  out.append(reinterpret_cast<const char*>(made), static_cast<size_t>(size));
}

void append_block(std::string& out, std::string_view block) {
  while (!block.empty()) {
    const size_t valid = utf8_prefix(block);
    if (valid > 0) {
      append_nfc(out, block.substr(0, valid));
    } else {
      out += block.front();
    }
    block.remove_prefix(std::max<size_t>(valid, 1));
  }
}

}  // namespace

void PlainSource::grow() { window_ = window_ < kBlock ? kBlock : window_ * 2; }

void PlainSource::drop(size_t bytes) {
  rest_.remove_prefix(bytes);
  window_ -= std::min(window_, bytes);
}

void NfcSource::grow() {
  made_.erase(0, dropped_);
  dropped_ = 0;
  const size_t end = block_end(rest_, std::max(kBlock, made_.size()));
  append_block(made_, rest_.substr(0, end));
  rest_.remove_prefix(end);
}

std::string nfc(std::string_view text) {
  std::string out;
  append_block(out, text);
  return out;
}

}  // namespace longview
