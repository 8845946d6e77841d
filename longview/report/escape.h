// Text that is safe inside HTML and XML.
#pragma once

#include <string>
#include <string_view>

namespace longview {

/// Escapes & < > " ' for element content and quoted attributes. Bytes that are not UTF-8 become U+FFFD, and characters
/// that XML 1.0 forbids (control codes, U+FFFE) too, so that any input gives a well-formed document.
std::string escaped(std::string_view text);

}  // namespace longview
