// Where numbers stopped being finite: the first tensor that went bad, in the order in which they are computed.
#pragma once

#include "longview/model/transformer.h"
#include "longview/train/parameters.h"

namespace longview {

/// In words, "the output of layer 3": a parameter as the model computes with it, what rows that go on carry, or a layer. "": all are
/// finite. All ranks must call it, with their parts, and are told the same. Reads the segment once more, from `state`, and again by halves.
std::string first_bad_output(const Transformer& model, const Parameters& parameters, const Method& method, const Segment& segment,
                             const ModelState& state);

/// "the gradient of 'model.norm.weight'": of those that are not finite the one nearest to the loss, where the way back begins,
/// as this rank has them.
std::string first_bad_gradient(const Parameters& parameters);

/// "the parameter '...'" of the first master that is not finite; "": all are. All ranks must call it.
std::string first_bad_parameter(const Parameters& parameters);

}  // namespace longview
