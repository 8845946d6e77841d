// Learned merges: against the definition (count all pairs again after each merge), and read back from tokenizer.json.
#include "longview/text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <map>

#include "longview/base/check.h"
#include "longview/base/file.h"
#include "longview/base/json.h"
#include "longview/base/random.h"
#include "longview/text/alphabet.h"
#include "longview/text/split.h"
#include "longview/text/tokenizer_writer.h"

namespace longview {
namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;

std::string spelled(const std::string& bytes) {
  std::string out;
  for (const char byte : bytes) out += character_of_byte(static_cast<uint8_t>(byte));
  return out;
}

/// The definition, over tokens as strings of bytes.
Merges merges_by_definition(const std::vector<std::string>& texts, const std::string& split, size_t count) {
  std::vector<std::vector<std::string>> words;
  SplitMemory memory;
  const Split cut(split);
  for (const auto& text : texts) {
    PlainSource source(text);
    Splitter splitter(cut, memory, source);
    for (auto piece = splitter.next(); !piece.empty(); piece = splitter.next()) {
      words.emplace_back();
      for (const char byte : piece) words.back().emplace_back(1, byte);
    }
  }
  Merges out;
  std::map<std::string, int> tokens;
  while (tokens.size() < count) {
    std::map<std::pair<std::string, std::string>, int64_t> pairs;
    for (const auto& word : words)
      for (size_t i = 0; i + 1 < word.size(); ++i) ++pairs[{word[i], word[i + 1]}];
    auto best = pairs.end();
    for (auto pair = pairs.begin(); pair != pairs.end(); ++pair)  // in the order of bytes, so the first of equal ones stays
      if (pair->second >= 2 && (best == pairs.end() || pair->second > best->second)) best = pair;
    if (best == pairs.end()) break;
    const auto [left, right] = best->first;
    out.emplace_back(spelled(left), spelled(right));
    ++tokens[left + right];
    for (auto& word : words)
      for (size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == left && word[i + 1] == right) {
          word[i] += right;
          word.erase(word.begin() + static_cast<int64_t>(i) + 1);
        }
  }
  return out;
}

TEST(BpeTraining, MergesWhatTheDefinitionMerges) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Random random(seed);
    const char* const alphabets[] = {"ab ", "abc de\n", "the cat sat 1234 \xC3\xA4\xFF"};
    const std::string letters = alphabets[seed % 3];
    std::vector<std::string> texts(3);
    for (auto& text : texts)
      for (int i = 0; i < 400; ++i) text += letters[static_cast<size_t>(random.below(static_cast<int64_t>(letters.size())))];
    for (const auto& split : split_names()) {
      BpeTrainer trainer({.vocabulary = 256 + 60, .split = split, .specials = {}});
      for (const auto& text : texts) trainer.add(text);
      EXPECT_EQ(trainer.train().merges, merges_by_definition(texts, split, 60)) << seed << " " << split;
    }
  }
}

TEST(BpeTraining, GivesATokenizerThatIsReadBackAndSpellsEveryText) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += fmt::format("There were {} caf\xC3\xA9s there; they're the ones. ", i * i);
  for (const auto& split : split_names()) {
    BpeTrainer forward({.vocabulary = 275, .split = split}), pieces({.vocabulary = 275, .split = split});
    forward.add(text);
    forward.add("second");
    pieces.add("second");
    pieces.add(text);
    const auto spec = forward.train();
    EXPECT_EQ(spec.tokens.size(), 275u);
    EXPECT_EQ(tokenizer_to_json(spec), tokenizer_to_json(pieces.train()));
    const auto tokenizer = make_tokenizer(spec);
    const auto again = make_tokenizer(tokenizer_from_json(tokenizer_to_json(spec), tokenizer_config_to_json(spec, 0), "learned"));
    EXPECT_EQ(again->spec().eos, 274);
    EXPECT_EQ(again->spec().split, split);
    for (const std::string& one : {text, std::string("any \x01\xFE bytes\n\n  <|endoftext|> \xE4\xBD\xA0")}) {
      const auto ids = tokenizer->encode(one);
      EXPECT_EQ(again->encode(one), ids);
      EXPECT_EQ(tokenizer->decode(ids), one);
    }
    EXPECT_LT(tokenizer->encode(text).size() * 3 / 2, text.size());
  }
}

TEST(BpeTraining, EncodesAsOtherProgramsDoWithWhatWasLearned) {
  const auto golden = parse_json(read_text(LONGVIEW_GOLDEN "/learned_ids.json"), "learned_ids.json");
  for (const auto& split : split_names()) {
    BpeTrainer trainer({.vocabulary = 420, .split = split});
    trainer.add(read_text(LONGVIEW_GOLDEN "/learned.txt"));
    const auto tokenizer = make_tokenizer(trainer.train());
    for (size_t i = 0; i < golden["texts"].size(); ++i)
      EXPECT_EQ(tokenizer->encode(golden["texts"][i].get<std::string>()), golden["ids"][split][i].get<std::vector<Id>>())
          << split << " " << i;
  }
}

TEST(BpeTraining, StopsWhereThereIsNothingToMergeAndRefusesWhatHasNoRoom) {
  BpeTrainer trainer({.vocabulary = 1000});
  trainer.add("ab ab cd");
  EXPECT_EQ(trainer.train().merges, (Merges{{"a", "b"}}));
  EXPECT_THROW(BpeTrainer({.vocabulary = 256}), Error);
  EXPECT_THROW(BpeTrainer({.vocabulary = 1000, .split = "words"}), Error);
}

}  // namespace
}  // namespace longview
