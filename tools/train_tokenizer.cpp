#include "tools/train_tokenizer.h"

#include "longview/base/file.h"
#include "longview/text/bpe_trainer.h"
#include "longview/text/text_files.h"
#include "longview/text/tokenizer_writer.h"
#include "tools/reading.h"

namespace longview::tools {

void train_tokenizer(const SharedOptions& options, const TokenizerTraining& training, const std::string& out) {
  LV_CHECK(!out.empty(), "[convert] --train-bpe needs -o DIR, a folder for the tokenizer");
  check_writable("--json", options.json);
  const std::filesystem::path folder = out;
  LV_CHECK(!std::filesystem::exists(folder) || std::filesystem::is_directory(folder), "[convert] '{}' is a file; -o takes a folder",
           out);
  BpeTrainer trainer({.vocabulary = training.vocabulary, .split = training.split});
  int64_t texts = 0, bytes = 0;
  std::optional<Progress> progress;
  for (const auto& path : training.texts)
    each_text({path}, [&](std::string_view, std::string_view text) {
      LV_CHECK(!interrupted(), "[convert] stopped while the texts were read; nothing was written");
      trainer.add(text);
      ++texts;
      bytes += static_cast<int64_t>(text.size());
    });
  LV_CHECK(texts > 0, "[convert] --train-bpe was given no text");
  note(options, fmt::format("{} texts, {} read", texts, bytes_text(bytes)));
  const auto spec = trainer.train([&](int64_t made, int64_t wanted) {
    if (!progress) progress.emplace(wanted, "tokens", progress_output(options));
    progress->update(made, "");
    return !interrupted();
  });
  if (progress) progress->finish();
  LV_CHECK(!interrupted(), "[convert] stopped before the tokenizer was learned; nothing was written");
  const auto tokens = static_cast<int64_t>(spec.tokens.size());
  if (tokens < training.vocabulary)
    note(options, fmt::format("the texts have pairs for {} tokens, not {}", tokens, training.vocabulary));
  std::filesystem::create_directories(folder);
  write_file(folder / "tokenizer.json", tokenizer_to_json(spec));
  write_file(folder / "tokenizer_config.json", tokenizer_config_to_json(spec, 0));
  print(options, fmt::format("{}  byte-level BPE, {} tokens from {} texts\n", out, tokens, texts));
  write_json(options, {{"out", out},
                       {"tokens", tokens},
                       {"merges", spec.merges.size()},
                       {"split", spec.split},
                       {"texts", texts},
                       {"bytes", bytes}});
}

}  // namespace longview::tools
