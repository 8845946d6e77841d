// A TokenizerSpec as the two files that Hugging Face's libraries read.
#pragma once

#include <string>

#include "longview/text/tokenizer.h"

namespace longview {

/// tokenizer.json. Throws on a tokenizer of bytes, and on tokens that are not UTF-8. Scores ("spm" of GGUF and llama2.c) become
/// merges the way transformers does it: every cut of a token into two others, the highest score first. Where two cuts of one token
/// overlap in a text, SentencePiece takes the left one and merges the earlier one, so a rare word may come out in other pieces.
std::string tokenizer_to_json(const TokenizerSpec& spec);

/// tokenizer_config.json: special tokens, whether BOS and EOS are added, the chat template, and the length the model was trained for (0: not known).
std::string tokenizer_config_to_json(const TokenizerSpec& spec, int64_t trained_length);

}  // namespace longview
