// The colours and the type of plots and pages, for light, dark and paper.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace longview {

/// How many colours there are; series beyond them repeat the colours with dashes.
inline constexpr size_t kColors = 6;

/// The style of one <svg class="lv-plot">. Every plot brings it, so an SVG saved from the page still looks the same.
std::string_view plot_style();

/// The style of a page.
std::string_view page_style();

}  // namespace longview
