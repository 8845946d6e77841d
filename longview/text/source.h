// A text as a sliding window, so that splitting it needs no memory for the text: in place, or normalised as it is read.
#pragma once

#include <string>
#include <string_view>

namespace longview {

class TextSource {
 public:
  virtual ~TextSource() = default;
  /// The window: what lies ahead, as far as it has been read.
  virtual std::string_view view() const = 0;
  /// Whether the window reaches the text's end.
  virtual bool final() const = 0;
  /// Makes the window longer; may move it in memory. Call only if not final().
  virtual void grow() = 0;
  /// Goes `bytes` of the window ahead.
  virtual void drop(size_t bytes) = 0;
};

/// The text itself: nothing is copied.
class PlainSource : public TextSource {
 public:
  explicit PlainSource(std::string_view text) : rest_(text) {}
  std::string_view view() const override { return rest_.substr(0, window_); }
  bool final() const override { return window_ >= rest_.size(); }
  void grow() override;
  void drop(size_t bytes) override;

 private:
  std::string_view rest_;
  size_t window_ = 0;
};

/// The text in Unicode's normalisation form C, made block by block. Bytes that are not UTF-8 stay as they are. Hugging Face's tables
/// are older than utf8proc's: marks assigned since Unicode 10 are put in order here and left as they are there.
class NfcSource : public TextSource {
 public:
  explicit NfcSource(std::string_view text) : rest_(text) {}
  std::string_view view() const override { return std::string_view(made_).substr(dropped_); }
  bool final() const override { return rest_.empty(); }
  void grow() override;
  void drop(size_t bytes) override { dropped_ += bytes; }

 private:
  std::string_view rest_;
  std::string made_;
  size_t dropped_ = 0;
};

/// `text` in normalisation form C.
std::string nfc(std::string_view text);

}  // namespace longview
