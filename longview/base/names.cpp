#include "longview/base/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace longview {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view given, std::span<const std::string> known) {
  std::string best;
  size_t least = std::max<size_t>(given.size() / 2, 1) + 1;
  for (const auto& name : known) {
    const size_t distance = edit_distance(given, name);
    if (distance < least) least = distance, best = name;
  }
  return best;
}

std::string listed(std::span<const std::string> names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " and " : ", ";
    out += names[i];
  }
  return out;
}

std::string unknown_name(std::string_view what, std::string_view given, std::span<const std::string> known) {
  const std::string near = nearest(given, known);
  return fmt::format("unknown {} '{}'{}; known: {}", what, given, near.empty() ? "" : fmt::format("; did you mean '{}'?", near),
                     listed(known));
}

}  // namespace longview
