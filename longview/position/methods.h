// The makers of the position methods, one a file: what registry.cpp lists.
#pragma once

#include "longview/position/position.h"

namespace longview {

std::shared_ptr<const Position> make_abf(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_alibi(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_auto(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_dual_chunk(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_dynamic(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_dynamic_yarn(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_fire(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_hwfa_position(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_hwfa2_position(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_kerple(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_leaky_rerope(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_linear(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_llama3(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_longrope(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_nope(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_ntk(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_ntk_by_parts(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_ntk_mixed(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_rerope(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_resonance(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_rope(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_sandwich(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_self_extend(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_t5(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_xpos(const Setting&, const Rotary&);
std::shared_ptr<const Position> make_yarn(const Setting&, const Rotary&);

}  // namespace longview
