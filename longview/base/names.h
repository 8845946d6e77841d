// Names a person types: closest known name, lists for messages.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longview {

/// The known name with the smallest edit distance to `given`, or "" when none is near (more than half of it differs).
std::string nearest(std::string_view given, std::span<const std::string> known);

/// "a, b and c"
std::string listed(std::span<const std::string> names);

/// "unknown <what> 'given'; did you mean 'near'? Known: a, b and c", the text of every unknown-name error.
std::string unknown_name(std::string_view what, std::string_view given, std::span<const std::string> known);

}  // namespace longview
