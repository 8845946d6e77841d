// The attention methods, one line each, sorted by name.
#include <array>

#include "longview/attention/attention.h"

namespace longview {
namespace {

// clang-format off
constexpr std::array kAttentions{
    AttentionEntry{"full", "arXiv:1706.03762", "every earlier token; state and time a token grow with the text", "everything, as far as the position method reaches", make_full},
    AttentionEntry{"streaming", "arXiv:2309.17453", "the first tokens (sinks) and the last ones, positions inside the cache", "the first tokens and the last ones; the middle is gone", make_streaming},
    AttentionEntry{"window", "kexue.fm/archives/9431, arXiv:2310.06825", "the last tokens only", "the last tokens only", make_window},
};
// clang-format on

}  // namespace

std::span<const AttentionEntry> attentions() { return kAttentions; }

std::shared_ptr<const Attention> make_attention(std::string_view setting) {
  const Setting parsed = parse_setting(setting);
  return find(attentions(), "attention", parsed.name).make(parsed);
}

}  // namespace longview
