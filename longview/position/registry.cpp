// The position methods, one line each, sorted by name.
#include <array>

#include "longview/position/methods.h"
#include "longview/position/scaled.h"

namespace longview {
namespace {

// clang-format off
constexpr std::array kPositions{
    PositionEntry{"abf", "arXiv:2309.16039", "adjusted base frequency: another base, for models trained on with it", "far text at twice that length; near text pays a tenth of a nat", make_abf},
    PositionEntry{"auto", "kexue.fm/archives/9708", "the model's own inside its trained length, Leaky ReRoPE beyond, by itself", "far text, less surely with distance; inside that length nothing changes", make_auto},
    PositionEntry{"dual_chunk", "arXiv:2402.17463", "positions begin anew in every chunk; far chunks all look equally far", "far text at times: all of it looks equally far", make_dual_chunk},
    PositionEntry{"dynamic", "emozilla 2023", "NTK base that follows the text's length; exact, since keys are re-rotated", "near text; hardly anything of the far", make_dynamic},
    PositionEntry{"dynamic_yarn", "arXiv:2309.00071", "YaRN whose factor follows the text's length; exact, since keys are re-rotated", "near text; the far in part", make_dynamic_yarn},
    PositionEntry{"leaky_rerope", "kexue.fm/archives/9708", "true distances in a window, beyond it they grow slower", "everything at twice that length, less surely at four times", make_leaky_rerope},
    PositionEntry{"linear", "arXiv:2306.15595", "position interpolation: every position divided by the factor", "nothing usable before training with it", make_linear},
    PositionEntry{"llama3", "Meta llama-models 2024", "slow pairs stretched, fast pairs kept, a blend between", "far text in part; near text pays 0.3 nats", make_llama3},
    PositionEntry{"longrope", "arXiv:2402.13753", "a divisor for each pair, one list for short texts and one for long ones", "as far as its lists were searched for; with ours, drawn by hand, in part", make_longrope},
    PositionEntry{"ntk", "bloc97 2023, kexue.fm/archives/9675", "larger base: slow pairs stretched, fast pairs nearly kept", "everything at twice that length with a factor of 4; near text pays a tenth of a nat", make_ntk},
    PositionEntry{"ntk_by_parts", "bloc97 2023, arXiv:2309.00071", "fast pairs kept, middle ones by NTK, slow ones interpolated", "far text in part; near text pays 0.3 nats", make_ntk_by_parts},
    PositionEntry{"ntk_mixed", "kexue.fm/archives/9706", "mixed radix: every pair stretched, the slow ones more", "far text in part; near text pays 0.2 nats", make_ntk_mixed},
    PositionEntry{"rerope", "kexue.fm/archives/9708", "true distances in a window, one distance for everything beyond", "everything, still at four times that length", make_rerope},
    PositionEntry{"resonance", "arXiv:2403.00071", "whole wavelengths over another method's: no angles that were never met", "as the method it goes over", make_resonance},
    PositionEntry{"rope", "arXiv:2104.09864", "rotary positions as the model was trained", "nothing usable", make_rope},
    PositionEntry{"self_extend", "arXiv:2401.01325", "true distances in a window, beyond it positions in groups", "far text at twice that length; not at four times with groups of 4", make_self_extend},
    PositionEntry{"yarn", "arXiv:2309.00071", "per-pair blend of interpolation and extrapolation, with a temperature", "far text, to its factor times that length; near text pays a tenth of a nat", make_yarn},
};
// clang-format on

}  // namespace

std::span<const PositionEntry> positions() { return kPositions; }

std::shared_ptr<const Position> make_position(std::string_view setting, const Rotary& rotary) {
  Setting parsed = parse_setting(setting);
  const Scales scales = take_scales(parsed);
  return scaled_by(scales, find(positions(), "position", parsed.name).make(parsed, rotary));
}

}  // namespace longview
