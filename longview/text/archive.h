// Files that hold texts compressed or together: tar, and anything as xz or Zstandard.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace longview {

using TakeText = std::function<void(std::string_view name, std::string_view bytes)>;

/// Every regular file of a tar archive (ustar, GNU and pax names), in its order; .tar.xz and .tar.zst are unpacked on the way.
/// Memory grows with the longest member. Throws on a file that is damaged or cut off, naming it and where.
void each_member(const std::filesystem::path& path, const TakeText& take);

/// The bytes of a file, unpacked where it is xz or Zstandard (by its first bytes).
std::string read_unpacked(const std::filesystem::path& path);

}  // namespace longview
