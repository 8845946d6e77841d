// Keys and values kept in a State: appended in place while nobody else holds them, copied when somebody does.
#pragma once

#include "longview/flow.h"

namespace longview {

/// past [B,G,n,D] (or undefined) followed by fresh [B,G,T,D]. Takes `past` by value: when it was the only holder of its memory and
/// there is room behind it, nothing is moved; else both go to new memory with room for `spare` more tokens. Where gradients are asked for,
/// nothing is written in place.
Tensor appended(Tensor past, const Tensor& fresh, int64_t spare);

/// The last `count` tokens of x [B,G,n,D], a view.
Tensor last(const Tensor& x, int64_t count);

/// Tokens [first, first + count) of x [B,G,T,D]. x itself where they are all: the gradient of a part is written out among zeros.
Tensor part(const Tensor& x, int64_t first, int64_t count);

}  // namespace longview
