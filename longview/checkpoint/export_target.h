// Where an export may be written, and whether there is room.
#pragma once

#include <filesystem>

namespace longview {

/// Throws when what is written would be what is read, or hold it, or lie inside it. No source: nothing is read.
void check_apart(const std::filesystem::path& source, const std::filesystem::path& target);

/// Throws when the disk of a folder has fewer bytes left.
void check_room(const std::filesystem::path& folder, int64_t needed);

}  // namespace longview
