// The position methods, one line each, sorted by name.
#include <array>

#include "longview/position/position.h"

namespace longview {
namespace {

// clang-format off
constexpr std::array kPositions{
    PositionEntry{"dynamic", "emozilla 2023", "NTK base that follows the text's length; exact, since keys are re-rotated", "", make_dynamic},
    PositionEntry{"linear", "arXiv:2306.15595", "position interpolation: every position divided by the factor", "", make_linear},
    PositionEntry{"llama3", "Meta llama-models 2024", "slow pairs stretched, fast pairs kept, a blend between", "", make_llama3},
    PositionEntry{"ntk", "bloc97 2023, kexue.fm/archives/9675", "larger base: slow pairs stretched, fast pairs nearly kept", "", make_ntk},
    PositionEntry{"rope", "arXiv:2104.09864", "rotary positions as the model was trained", "", make_rope},
    PositionEntry{"yarn", "arXiv:2309.00071", "per-pair blend of interpolation and extrapolation, with a temperature", "", make_yarn},
};
// clang-format on

}  // namespace

std::span<const PositionEntry> positions() { return kPositions; }

std::shared_ptr<const Position> make_position(std::string_view setting, const Rotary& rotary) {
  const Setting parsed = parse_setting(setting);
  return find(positions(), "position", parsed.name).make(parsed, rotary);
}

}  // namespace longview
