// GPT-2's alphabet (its encoder.py): each of the 256 bytes as a printable character, so that a vocabulary of bytes is text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace longview {

/// The character of a byte, as UTF-8: itself if printable in Latin-1, else one of U+0100 to U+0143.
const std::string& character_of_byte(uint8_t byte);

/// The bytes a token spells; nothing if it has a character that is not of the alphabet.
std::optional<std::string> bytes_of_token(std::string_view token);

}  // namespace longview
