// A long text cut into passages of at most so many tokens, where paragraphs, lines or sentences end.
#pragma once

#include "longview/text/tokenizer.h"

namespace longview {

/// Views into `text` that together are all of it but blank ends. A passage is longer than `most` tokens only where a single
/// character is.
std::vector<std::string_view> passages(std::string_view text, const Tokenizer& tokenizer, int64_t most);

}  // namespace longview
