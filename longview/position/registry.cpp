// The position methods, one line each, sorted by name.
#include <array>

#include "longview/position/methods.h"
#include "longview/position/scaled.h"

namespace longview {
namespace {

// clang-format off
constexpr std::array kPositions{
    PositionEntry{"abf", "arXiv:2309.16039", "adjusted base frequency: another base, for models trained on with it", "far text at twice that length; near text pays a tenth of a nat", make_abf},
    PositionEntry{"alibi", "arXiv:2108.12409", "a fixed price for distance, steeper in some heads; to be trained with", "as far back as the flattest slopes let it look: a soft window", make_alibi},
    PositionEntry{"auto", "kexue.fm/archives/9708", "the model's own inside its trained length, Leaky ReRoPE beyond, by itself", "far text, less surely with distance; inside that length nothing changes", make_auto},
    PositionEntry{"dual_chunk", "arXiv:2402.17463", "positions begin anew in every chunk; far chunks all look equally far", "far text at times: all of it looks equally far", make_dual_chunk},
    PositionEntry{"dynamic", "emozilla 2023", "NTK base that follows the text's length; exact, since keys are re-rotated", "near text; hardly anything of the far", make_dynamic},
    PositionEntry{"dynamic_yarn", "arXiv:2309.00071", "YaRN whose factor follows the text's length; exact, since keys are re-rotated", "near text; the far in part", make_dynamic_yarn},
    PositionEntry{"fire", "arXiv:2310.04418", "a small learned network of the distance over the query's own place; to be trained with", "everything, as the network learns to", make_fire},
    PositionEntry{"hwfa", "kexue.fm/archives/9603", "RoPE in windows, the last full layer not rotated with log n; with attention hwfa, to be trained with", "everything, through one layer", make_hwfa_position},
    PositionEntry{"hwfa2", "kexue.fm/archives/9731", "RoPE in windows, ReRoPE in the full layers; with attention hwfa2, to be trained with", "everything, through the full layers", make_hwfa2_position},
    PositionEntry{"kerple", "arXiv:2205.09921", "a learned price for distance, logarithmic or a power; to be trained with", "as far back as the learned prices let it look: a soft window", make_kerple},
    PositionEntry{"leaky_rerope", "kexue.fm/archives/9708", "true distances in a window, beyond it they grow slower", "everything at twice that length, less surely at four times", make_leaky_rerope},
    PositionEntry{"linear", "arXiv:2306.15595", "position interpolation: every position divided by the factor", "nothing usable before training with it", make_linear},
    PositionEntry{"llama3", "Meta llama-models 2024", "slow pairs stretched, fast pairs kept, a blend between", "far text in part; near text pays 0.3 nats", make_llama3},
    PositionEntry{"longrope", "arXiv:2402.13753", "a divisor for each pair, one list for short texts and one for long ones", "as far as its lists were searched for; with ours, drawn by hand, in part", make_longrope},
    PositionEntry{"nope", "arXiv:2305.19466", "no position at all: the causal mask alone; to be trained with", "everything, less sharply the longer the text", make_nope},
    PositionEntry{"ntk", "bloc97 2023, kexue.fm/archives/9675", "larger base: slow pairs stretched, fast pairs nearly kept", "everything at twice that length with a factor of 4; near text pays a tenth of a nat", make_ntk},
    PositionEntry{"ntk_by_parts", "bloc97 2023, arXiv:2309.00071", "fast pairs kept, middle ones by NTK, slow ones interpolated", "far text in part; near text pays 0.3 nats", make_ntk_by_parts},
    PositionEntry{"ntk_mixed", "kexue.fm/archives/9706", "mixed radix: every pair stretched, the slow ones more", "far text in part; near text pays 0.2 nats", make_ntk_mixed},
    PositionEntry{"rerope", "kexue.fm/archives/9708", "true distances in a window, one distance for everything beyond", "everything, still at four times that length", make_rerope},
    PositionEntry{"resonance", "arXiv:2403.00071", "whole wavelengths over another method's: no angles that were never met", "as the method it goes over", make_resonance},
    PositionEntry{"rope", "arXiv:2104.09864", "rotary positions as the model was trained", "nothing usable", make_rope},
    PositionEntry{"sandwich", "arXiv:2212.10356", "the product of two sinusoidal embeddings as a bias; to be trained with", "as far back as the bias lets it look: a soft window", make_sandwich},
    PositionEntry{"self_extend", "arXiv:2401.01325", "true distances in a window, beyond it positions in groups", "far text at twice that length; not at four times with groups of 4", make_self_extend},
    PositionEntry{"t5", "arXiv:1910.10683", "a learned bias for each of 32 buckets of distance; to be trained with", "everything: far keys all share a bucket", make_t5},
    PositionEntry{"xpos", "arXiv:2212.10554", "RoPE whose fast pairs fade with distance; to be trained with", "near text; the far fades", make_xpos},
    PositionEntry{"yarn", "arXiv:2309.00071", "per-pair blend of interpolation and extrapolation, with a temperature", "far text, to its factor times that length; near text pays a tenth of a nat", make_yarn},
};
// clang-format on

}  // namespace

std::span<const PositionEntry> positions() { return kPositions; }

std::shared_ptr<const Position> make_position(std::string_view setting, const Rotary& rotary) {
  Setting parsed = parse_setting(setting);
  Scales scales = take_scales(parsed);
  Rotary bare = rotary;
  if (!rotary.scaling.empty()) {  // the model's own scales stay, whatever method goes over it
    Setting own = parse_setting(rotary.scaling);
    scales = scales.over(take_scales(own));
    bare.scaling = own.name == "rope" && own.values.empty() ? "" : setting_text(own);
    if (own.name != parsed.name)
      LV_CHECK(!make_position(bare.scaling.empty() ? "rope" : bare.scaling, unscaled(rotary))->is_trained_in(),
               "[{}] this model was trained with {}, which no other method goes over; its scales (logn=, temperature=) do",
               parsed.name, rotary.scaling);
  }
  return scaled_by(scales, find(positions(), "position", parsed.name).make(parsed, bare));
}

}  // namespace longview
