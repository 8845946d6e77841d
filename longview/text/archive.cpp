// tar as POSIX.1-2001 (pax) and GNU write it; xz by liblzma, Zstandard by libzstd.
#include "longview/text/archive.h"

#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "longview/base/check.h"
#include "longview/base/file.h"

namespace longview {
namespace {

constexpr size_t kBlock = 512;

/// Bytes of a file in order, unpacked.
class Stream {
 public:
  explicit Stream(const std::filesystem::path& path) : file_(path), left_(file_.bytes()) {}
  virtual ~Stream() = default;
  /// At most `size` bytes; fewer only at the end.
  virtual size_t read(uint8_t* to, size_t size) {
    const size_t count = std::min(size, left_.size());
    std::copy_n(left_.begin(), count, to);
    left_ = left_.subspan(count);
    return count;
  }
  [[noreturn]] void broken(std::string_view why) const {
    fail("[archive] '{}' is damaged at byte {}: {}", file_.path().string(), file_.bytes().size() - left_.size(), why);
  }

 protected:
  MappedFile file_;
  std::span<const uint8_t> left_;
};

class XzStream final : public Stream {
 public:
  explicit XzStream(const std::filesystem::path& path) : Stream(path) {
    const lzma_ret made = lzma_stream_decoder(&lzma_, UINT64_MAX, LZMA_CONCATENATED);
    LV_CHECK(made == LZMA_OK, "[archive] no memory to unpack '{}'", path.string());
  }
  ~XzStream() override { lzma_end(&lzma_); }
  size_t read(uint8_t* to, size_t size) override {
    lzma_.next_out = to;
    lzma_.avail_out = size;
    while (lzma_.avail_out > 0 && !ended_) {
      lzma_.next_in = left_.data();
      lzma_.avail_in = left_.size();
      const lzma_ret result = lzma_code(&lzma_, LZMA_FINISH);
      left_ = left_.last(lzma_.avail_in);
      if (result == LZMA_BUF_ERROR) broken("the xz data is cut off");
      if (result != LZMA_OK && result != LZMA_STREAM_END)
        broken(fmt::format("it is not xz data (liblzma's error {})", int(result)));
      ended_ = result == LZMA_STREAM_END;
    }
    return size - lzma_.avail_out;
  }

 private:
  lzma_stream lzma_ = LZMA_STREAM_INIT;
  bool ended_ = false;
};

class ZstdStream final : public Stream {
 public:
  explicit ZstdStream(const std::filesystem::path& path) : Stream(path), zstd_(ZSTD_createDStream(), ZSTD_freeDStream) {
    ZSTD_DCtx_setParameter(zstd_.get(), ZSTD_d_windowLogMax, 31);  // archives packed with --long=31
  }
  size_t read(uint8_t* to, size_t size) override {
    ZSTD_outBuffer out{to, size, 0};
    while (out.pos < out.size) {
      if (left_.empty() && frame_done_) break;
      ZSTD_inBuffer in{left_.data(), left_.size(), 0};
      const size_t before = out.pos, result = ZSTD_decompressStream(zstd_.get(), &out, &in);
      left_ = left_.subspan(in.pos);
      if (ZSTD_isError(result) != 0) broken(ZSTD_getErrorName(result));
      frame_done_ = result == 0;
      if (!frame_done_ && in.pos == 0 && out.pos == before) broken("the Zstandard data is cut off");
    }
    return out.pos;
  }

 private:
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> zstd_;
  bool frame_done_ = false;
};

std::unique_ptr<Stream> open_stream(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string_view head = file.text().substr(0, 6);
  LV_CHECK(!head.starts_with("\x1F\x8B"), "[archive] '{}' is gzip; give it plain, as .xz or as .zst (gunzip, or zstd)",
           path.string());
  if (head == std::string_view("\xFD\x37zXZ\0", 6)) return std::make_unique<XzStream>(path);
  if (head.starts_with("\x28\xB5\x2F\xFD")) return std::make_unique<ZstdStream>(path);
  return std::make_unique<Stream>(path);
}

/// A block of 512 bytes; nothing at the end of the stream.
struct Header {
  std::array<uint8_t, kBlock> bytes{};

  std::string text(size_t at, size_t size) const {
    const auto* begin = reinterpret_cast<const char*>(bytes.data()) + at;
    return {begin, std::find(begin, begin + size, '\0')};
  }
  bool is_zero() const {
    return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
  }
  char type() const { return static_cast<char>(bytes[156]); }
  /// Octal text, or with the first bit set a big-endian number; nothing if it is neither.
  std::optional<uint64_t> number(size_t at, size_t size) const {
    uint64_t out = 0;
    if ((bytes[at] & 0x80) != 0) {
      for (size_t i = at + 1; i < at + size; ++i) out = out << 8 | bytes[i];
      return out >> 62 == 0 ? std::optional(out) : std::nullopt;
    }
    for (const char c : text(at, size)) {
      if (c == ' ') continue;
      if (c < '0' || c > '7') return std::nullopt;
      out = out << 3 | static_cast<uint64_t>(c - '0');
    }
    return out;
  }
  bool sum_is_right() const {
    uint64_t sum = 8 * uint64_t{' '};
    for (size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? 0 : bytes[i];
    return number(148, 8) == sum;
  }
  std::string name() const {
    const std::string prefix = std::memcmp(bytes.data() + 257, "ustar\0", 6) == 0 ? text(345, 155) : "";  // GNU keeps times there
    return prefix.empty() ? text(0, 100) : prefix + "/" + text(0, 100);
  }
};

/// A member's bytes, and the rest of its last block. Grown piece by piece: a damaged size must not take all memory.
std::string content(Stream& stream, uint64_t size) {
  constexpr uint64_t kPiece = 1 << 24;
  std::string out;
  for (uint64_t left = (size + kBlock - 1) / kBlock * kBlock; left > 0;) {
    const size_t piece = std::min(left, kPiece), before = out.size();
    out.resize(before + piece);
    if (stream.read(reinterpret_cast<uint8_t*>(out.data()) + before, piece) != piece)
      stream.broken("the archive ends inside a file; it was cut off");
    left -= piece;
  }
  out.resize(size);
  return out;
}

/// What a header of its own says of the next file.
struct NextFile {
  std::string name;
  uint64_t size = 0;
  bool has_size = false;
};

/// Records "length key=value\n" of a pax header: the ones that change the next file.
void read_pax(const Stream& stream, std::string_view records, NextFile& next) {
  while (!records.empty()) {
    const size_t length = static_cast<size_t>(std::strtoull(std::string(records.substr(0, 20)).c_str(), nullptr, 10));
    const size_t space = records.find(' '), equals = records.find('=');
    if (length > records.size() || length < 5 || space > equals || equals >= length) stream.broken("a pax header makes no sense");
    const std::string_view key = records.substr(space + 1, equals - space - 1),
                           value = records.substr(equals + 1, length - equals - 2);
    if (key == "path") next.name = value;
    if (key == "size") next.size = std::strtoull(std::string(value).c_str(), nullptr, 10), next.has_size = true;
    records.remove_prefix(length);
  }
}

}  // namespace

void each_member(const std::filesystem::path& path, const TakeText& take) {
  const auto stream = open_stream(path);
  NextFile next;
  for (Header header;;) {
    if (stream->read(header.bytes.data(), kBlock) != kBlock) stream->broken("the archive has no end mark; it was cut off");
    if (header.is_zero()) break;
    if (!header.sum_is_right()) stream->broken("this is no tar header (its sum is wrong)");
    const auto stated = header.number(124, 12);
    if (!stated) stream->broken("a file's size is not a number");
    const bool is_header = header.type() == 'L' || header.type() == 'K' || header.type() == 'x' || header.type() == 'g';
    const std::string bytes = content(*stream, is_header ? *stated : next.has_size ? next.size : *stated);
    if (header.type() == 'L') next.name = bytes.substr(0, bytes.find('\0'));
    if (header.type() == 'x') read_pax(*stream, bytes, next);
    if (is_header) continue;
    if (header.type() == '0' || header.type() == '\0' || header.type() == '7')
      take(next.name.empty() ? header.name() : next.name, bytes);
    next = {};
  }
  std::vector<uint8_t> rest(1 << 16);
  while (stream->read(rest.data(), rest.size()) > 0) continue;  // so that the checksum at the end of the compressed data is read
}

std::string read_unpacked(const std::filesystem::path& path) {
  const auto stream = open_stream(path);
  std::string out;
  constexpr size_t kPiece = 1 << 20;
  for (size_t got = kPiece; got == kPiece;) {
    const size_t before = out.size();
    out.resize(before + kPiece);
    got = stream->read(reinterpret_cast<uint8_t*>(out.data()) + before, kPiece);
    out.resize(before + got);
  }
  return out;
}

}  // namespace longview
