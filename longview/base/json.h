// JSON: nlohmann's type, and parsing whose errors are ours.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace longview {

using Json = nlohmann::ordered_json;

/// Throws Error naming `where` (a file, say) on text that is not JSON, or that nests deeper than 200.
Json parse_json(std::string_view text, std::string_view where);

}  // namespace longview
