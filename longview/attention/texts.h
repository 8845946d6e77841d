// Several texts in a row, in training: each is attended to as if it were alone.
#pragma once

#include "longview/attention/attention.h"

namespace longview {

/// Where the texts of `document` int64 [B,T] (CPU) lie; -1 is padding, which no text holds.
std::vector<TextSpan> text_spans(const Tensor& document);

/// What `read` gives for each text, `count` tokens long in dimension `dim` and [1] in the first, as B rows of T tokens; 0 where there is no
/// text. There is at least one.
Tensor each_text(const std::vector<TextSpan>& texts, int64_t B, int64_t T, int64_t dim,
                 const std::function<Tensor(const TextSpan&)>& read);

/// Every text of segment.texts by itself, from an empty state, its first token at position 0; [B,H,T,D], 0 where there is no text. Any method.
Tensor attended_texts(const Attention& attention, const Qkv& qkv, const Position& position, const Segment& segment);

}  // namespace longview
