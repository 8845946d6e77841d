// A registry is an explicit sorted table, one line an entry: name, source, one line of what it does, maker.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "longview/base/check.h"
#include "longview/base/names.h"

namespace longview {

template <class Maker>
struct Entry {
  std::string_view name;       // the name its paper gives it, as it is typed
  std::string_view source;     // where it comes from: arXiv number, archive page
  std::string_view summary;    // one line for `longview list`
  std::string_view remembers;  // what of the text is still reachable ("" where that is not its matter)
  Maker make;
};

template <class Maker>
std::vector<std::string> names(std::span<const Entry<Maker>> table) {
  std::vector<std::string> out;
  for (const auto& entry : table) out.emplace_back(entry.name);
  return out;
}

/// The entry of that name; an unknown name throws an error that lists the known ones and the nearest.
template <class Maker>
const Entry<Maker>& find(std::span<const Entry<Maker>> table, std::string_view what, std::string_view name) {
  for (const auto& entry : table)
    if (entry.name == name) return entry;
  throw Error(unknown_name(what, name, names(table)));
}

}  // namespace longview
