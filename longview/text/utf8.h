// Well-formed UTF-8 (Unicode 15, table 3-7): lengths, characters, prefixes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace longview {

/// Bytes of the well-formed character at the start of `text`: 1 to 4; 0 where there is none.
size_t utf8_length(std::string_view text);

/// Whether `text`, fewer than 4 bytes, is the beginning of a character whose end is missing.
bool utf8_truncated(std::string_view text);

/// Length in bytes of the longest well-formed beginning of `text`.
size_t utf8_prefix(std::string_view text);

/// The character at the start of `text`, whose length utf8_length gave.
char32_t utf8_decode(std::string_view text, size_t length);

/// `character` must be below 0x110000.
void utf8_append(std::string& text, char32_t character);

/// Unicode White_Space, which is \s of the pre-tokenizers and of HF's lstrip and rstrip.
bool is_white_space(char32_t character);

}  // namespace longview
