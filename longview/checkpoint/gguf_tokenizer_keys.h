// A TokenizerSpec as GGUF's keys ("tokenizer.ggml.*"), which gguf_tokenizer.cpp reads.
#pragma once

#include "longview/checkpoint/gguf.h"

namespace longview {

/// Pads the tokens with unused ones to the rows of the embedding, as llama.cpp wants them. Throws on what it has no words for.
void add_tokenizer_keys(Gguf& plan, const TokenizerSpec& spec, int64_t vocabulary);

}  // namespace longview
