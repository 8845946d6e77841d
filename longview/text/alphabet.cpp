#include "longview/text/alphabet.h"

#include <array>
#include <map>

#include "longview/text/utf8.h"

namespace longview {
namespace {

struct Alphabet {
  std::array<std::string, 256> characters;
  std::map<char32_t, char> bytes;
};

const Alphabet& alphabet() {
  static const Alphabet made = [] {
    Alphabet out;
    char32_t unprintable = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const char32_t character = printable ? static_cast<char32_t>(byte) : unprintable++;
      utf8_append(out.characters[static_cast<size_t>(byte)], character);
      out.bytes[character] = static_cast<char>(static_cast<uint8_t>(byte));
    }
    return out;
  }();
  return made;
}

}  // namespace

const std::string& character_of_byte(uint8_t byte) { return alphabet().characters[byte]; }

std::optional<std::string> bytes_of_token(std::string_view token) {
  std::string out;
  while (!token.empty()) {
    const size_t length = utf8_length(token);
    if (length == 0) return std::nullopt;
    const auto found = alphabet().bytes.find(utf8_decode(token, length));
    if (found == alphabet().bytes.end()) return std::nullopt;
    out += found->second;
    token.remove_prefix(length);
  }
  return out;
}

}  // namespace longview
