// The attention methods, one line each, sorted by name.
#include <array>

#include "longview/attention/methods.h"

namespace longview {
namespace {

// clang-format off
constexpr std::array kAttentions{
    AttentionEntry{"compressive", "arXiv:1911.05507", "its segment, the tokens before it, and slots that stand for several older ones each; to be trained with", "two segments exactly; before them what the slots say of them", make_compressive},
    AttentionEntry{"full", "arXiv:1706.03762", "every earlier token; state and time a token grow with the text", "everything, as far as the position method reaches", make_full},
    AttentionEntry{"hwfa", "kexue.fm/archives/9603", "short windows, the last layer everything; with position hwfa, to be trained with", "everything, through one layer", make_hwfa},
    AttentionEntry{"hwfa2", "kexue.fm/archives/9731", "short windows, a few layers everything; with position hwfa2, to be trained with", "everything, through the full layers", make_hwfa2},
    AttentionEntry{"infini", "arXiv:2404.07143", "its segment, and all before it through a compressive memory", "the segment exactly; all before it as far as the memory keeps it", make_infini},
    AttentionEntry{"infini_overlap", "arXiv:2404.07143, ours", "the same, with the segment before it still in view", "two segments exactly; all before them as far as the memory keeps it", make_infini_overlap},
    AttentionEntry{"infini_streaming", "arXiv:2404.07143, 2503.22196, ours", "the same, with the first tokens (sinks) too", "the first tokens and two segments exactly; the rest as far as the memory keeps it", make_infini_streaming},
    AttentionEntry{"lm_infinite", "arXiv:2308.16137", "the first tokens and the last ones, no distance beyond a cap", "the first tokens and the last ones; the middle is gone", make_lm_infinite},
    AttentionEntry{"memorizing", "arXiv:2203.08913", "Transformer-XL, and in one layer the nearest of many kept keys, by gates; to be trained with", "two segments exactly; every kept token that a query finds", make_memorizing},
    AttentionEntry{"recurrent_memory", "arXiv:2207.06881", "its segment, and a few vectors the model itself writes for the next; to be trained with", "the segment exactly; before it what the vectors hold", make_recurrent_memory},
    AttentionEntry{"streaming", "arXiv:2309.17453", "the first tokens (sinks) and the last ones, positions inside the cache", "the first tokens and the last ones; the middle is gone", make_streaming},
    AttentionEntry{"super_baseline", "kexue.fm/archives/9431", "a window of the trained length: as many tokens as in training", "the last tokens only", make_super_baseline},
    AttentionEntry{"transformer_xl", "arXiv:1901.02860", "its segment and the tokens right before it", "the segment and the tokens before it exactly; through the layers as far again for each", make_transformer_xl},
    AttentionEntry{"window", "kexue.fm/archives/9431, arXiv:2310.06825", "the last tokens only", "the last tokens only", make_window},
};
// clang-format on

}  // namespace

std::span<const AttentionEntry> attentions() { return kAttentions; }

std::shared_ptr<const Attention> make_attention(std::string_view setting, const Rotary& rotary) {
  const Setting parsed = parse_setting(setting);
  return find(attentions(), "attention", parsed.name).make(parsed, rotary);
}

State Attention::rewound(State state, int64_t count) const {
  LV_CHECK(count == 0, "[{}] cannot go back {} tokens: what was dropped is not there any more", parse_setting(setting).name, count);
  return state;
}

std::string refusal(const Attention& attention, const Position& position) {
  if (const std::string ours = attention.hybrid(), theirs = position.hybrid(); ours != theirs)
    return fmt::format("attention {} and position {} do not go together: {} has its own {}", parse_setting(attention.setting).name,
                       parse_setting(position.setting).name, ours.empty() ? theirs : ours, ours.empty() ? "attention" : "position");
  const std::string anchor = position.anchor();
  if (anchor.empty() || !attention.bound()) return "";
  return fmt::format("{} goes with full attention only: {}, and {} drops tokens from there", parse_setting(position.setting).name,
                     anchor, parse_setting(attention.setting).name);
}

}  // namespace longview
