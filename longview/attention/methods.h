// The makers of the attention methods, for the registry: each reads its setting and is defined in the file of its name.
#pragma once

#include "longview/attention/attention.h"

namespace longview {

std::shared_ptr<const Attention> make_compressive(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_full(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_hwfa(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_hwfa2(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_infini(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_infini_overlap(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_infini_streaming(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_lm_infinite(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_memorizing(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_recurrent_memory(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_streaming(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_super_baseline(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_transformer_xl(const Setting&, const Rotary&);
std::shared_ptr<const Attention> make_window(const Setting&, const Rotary&);

}  // namespace longview
