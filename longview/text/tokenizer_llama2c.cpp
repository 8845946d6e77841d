// llama2.c's tokenizer.bin (github.com/karpathy/llama2.c, tokenizer.py: export): int32 length of the longest token; then for each
// token float32 score, int32 length, bytes. A space stands for U+2581, and <s> and </s> have a newline on either side.
#include <algorithm>
#include <cstring>

#include "longview/base/check.h"
#include "longview/text/tokenizer.h"

namespace longview {
namespace {

class Bytes {
 public:
  Bytes(std::span<const uint8_t> bytes, std::string_view where) : rest_(bytes), where_(where) {}
  template <class T>
  T number() {
    T out;
    std::memcpy(&out, take(sizeof out).data(), sizeof out);
    return out;
  }
  std::string text(int32_t size) {
    LV_CHECK(size >= 0, "[tokenizer] {}: a token of {} bytes", where_, size);
    const auto part = take(static_cast<size_t>(size));
    return {part.begin(), part.end()};
  }

 private:
  std::span<const uint8_t> take(size_t size) {
    LV_CHECK(size <= rest_.size(), "[tokenizer] {} ends early: {} bytes are missing", where_, size - rest_.size());
    const auto out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  std::span<const uint8_t> rest_;
  std::string_view where_;
};

std::string spelled(const std::string& text) {
  std::string out;
  for (const char c : text)
    if (c == ' ') out += "\xE2\x96\x81";
    else out += c;
  return out;
}

}  // namespace

TokenizerSpec tokenizer_from_llama2c(std::span<const uint8_t> bytes, int64_t vocabulary, std::string_view where) {
  constexpr int64_t kSmallest = 259;  // unknown, BOS, EOS, and the bytes
  LV_CHECK(vocabulary >= kSmallest && vocabulary <= (1 << 24),
           "[tokenizer] {}: a llama2.c vocabulary has at least 259 tokens; got {}", where, vocabulary);
  TokenizerSpec spec;
  spec.model = "spm";
  Bytes file(bytes, where);
  file.number<int32_t>();
  for (int64_t id = 0; id < vocabulary; ++id) {
    spec.scores.push_back(file.number<float>());
    spec.tokens.push_back(spelled(file.text(file.number<int32_t>())));
    spec.kinds.push_back(id >= 3 && id < kSmallest ? TokenKind::byte : TokenKind::normal);
  }
  spec.tokens[0] = "<unk>";
  spec.tokens[1] = "<s>";
  spec.tokens[2] = "</s>";
  spec.kinds[0] = TokenKind::unknown;
  spec.kinds[1] = spec.kinds[2] = TokenKind::control;
  spec.unk = 0;
  spec.bos = 1;
  spec.eos = 2;
  spec.stops = {2, 1};  // llama2.c's run ends a story at BOS
  spec.add_bos = spec.add_space_prefix = true;
  return spec;
}

}  // namespace longview
