// A token a byte: ids 0 to 255, and special tokens after them if the spec names any.
#include "longview/base/check.h"
#include "longview/text/alphabet.h"
#include "longview/text/sections.h"

namespace longview {
namespace {

class ByteTokenizer : public SectionTokenizer {
 public:
  using SectionTokenizer::SectionTokenizer;

 protected:
  void section(std::string_view text, bool, IdRuns& out) const override {
    for (const char byte : text) out.add(static_cast<uint8_t>(byte));
  }
  std::string plain_bytes(Id id) const override { return std::string(1, static_cast<char>(static_cast<uint8_t>(id))); }
};

}  // namespace

std::unique_ptr<Tokenizer> make_byte_tokenizer(TokenizerSpec spec) {
  const size_t given = spec.tokens.size();
  LV_CHECK(given == 0 || given >= 256, "[tokenizer] a byte tokenizer has 256 bytes, then special tokens; got {} tokens", given);
  LV_CHECK(spec.kinds.empty() || spec.kinds.size() == given, "[tokenizer] {} tokens, but kinds of {}", given, spec.kinds.size());
  spec.tokens.resize(std::max<size_t>(given, 256));
  spec.kinds.resize(spec.tokens.size(), TokenKind::control);
  for (size_t byte = 0; byte < 256; ++byte) {
    spec.tokens[byte] = character_of_byte(static_cast<uint8_t>(byte));
    spec.kinds[byte] = TokenKind::byte;
  }
  for (size_t id = 256; id < spec.tokens.size(); ++id) {
    const bool special =
        spec.kinds[id] == TokenKind::control || spec.kinds[id] == TokenKind::user || spec.kinds[id] == TokenKind::unknown;
    LV_CHECK(special, "[tokenizer] token {} of a byte tokenizer must be a control or user token", id);
  }
  return std::make_unique<ByteTokenizer>(std::move(spec));
}

}  // namespace longview
