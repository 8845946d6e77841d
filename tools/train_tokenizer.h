// longview convert --train-bpe: a tokenizer learned from texts.
#pragma once

#include "tools/program.h"

namespace longview::tools {

struct TokenizerTraining {
  std::vector<std::string> texts;
  int64_t vocabulary = 32768;
  std::string split = "gpt-2";
};

/// Writes tokenizer.json and tokenizer_config.json into the folder `out`.
void train_tokenizer(const SharedOptions& options, const TokenizerTraining& training, const std::string& out);

}  // namespace longview::tools
