// What a model carries from segment to segment, in values a sequence: Table 1 of the Infini-attention paper (arXiv:2404.07143), and the
// local keys and values that the table leaves out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "longview/checkpoint/config.h"

namespace longview {

struct Preset {
  std::string_view name, source;
  int64_t layers, width, heads, kv_heads, head_width, segment;  // l E H G D N
};

/// Models whose memory the table is about.
std::span<const Preset> presets();

struct Footprint {
  std::string method, formula;
  int64_t values = 0;        // kept besides the segment in hand, as the paper counts
  int64_t state_values = 0;  // and what a ModelState of ours holds
  int64_t local_values = 0;  // keys and values of the segment in hand, or of the window
};

/// For a text of `length` tokens; the baselines with the settings of the paper's Table 2, the memorizing one with all of the text
/// in its memory.
std::vector<Footprint> footprints(const Preset& preset, int64_t length);

}  // namespace longview
