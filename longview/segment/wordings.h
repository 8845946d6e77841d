// What needles and questions say: one wording, or a small grammar with a part that is kept from training.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "longview/base/random.h"
#include "longview/text/tokenizer.h"

namespace longview {

/// Templates with {thing}, {of} (" for NAME", or nothing) and {key}. Every thing goes with every statement and every question.
struct Grammar {
  std::vector<std::string> things, statements, questions;
  double invented = 0;  // share of things, statements and questions that are made up on the spot
  int64_t wordings() const { return static_cast<int64_t>(things.size() * statements.size() * questions.size()); }
  /// One of the things, statements, questions, or one that is made up.
  std::string thing(Random& random) const;
  std::string statement(Random& random) const;
  std::string question(Random& random) const;

 private:
  std::string sentence(const std::vector<std::string>& known, std::span<const std::string_view> forms, Random& random) const;
};

/// "one": the pass key of landmark attention (arXiv:2305.16300); "many": 1,008 things, 864 statements, 96 questions, and half of each made up
/// on the spot; "heldout": things, statements and questions that "many" has none of; "table": NAME = KEY; in statement and question.
/// Throws on another name.
const Grammar& grammar(std::string_view name);

/// A key nobody can guess: "digits" 71349, "words" amber falcon reed, "codes" K7Q-2MX; "mixed": one of them.
std::string random_key(std::string_view kind, Random& random);
/// A key that begins like another one, with at least one sign of it, and goes on differently.
std::string alike(const std::string& key, Random& random);
/// Four letters.
std::string random_name(Random& random);
/// Numbers as a text has them that are nobody's key. A text has one style: verses, lists, years, amounts, numbers of one to six digits alone; or codes,
/// or words that keys are made of. Verses and lists mostly count on behind one label (1Sa3:16, 1Sa3:17), so that what follows a digit is one sign all along.
class Numbers {
 public:
  explicit Numbers(Random& random);
  std::string next(Random& random);

 private:
  enum class Style : uint8_t { kVerse, kList, kYear, kAmount, kCode, kWord, kPlain, kCount };
  Style style_;
  bool runs_;
  std::string label_;
  int64_t chapter_, verse_;
};

/// What stands around needles.
extern const std::string_view kIntroduction;  // that there will be a question
extern const std::string_view kLoopFiller;    // five sentences, to be repeated

/// A template as tokens, and which of them spell the key: [from, to) for every place it stands. A token that spells the key and what
/// stands before it (a space, mostly) counts.
struct Wording {
  std::vector<Id> ids;
  std::vector<std::pair<int64_t, int64_t>> keys;
};
struct Blanks {
  std::string thing, name, key;  // name may be empty
};
/// Throws when the tokenizer does not give back what it was given.
Wording worded(std::string_view pattern, const Blanks& blanks, const Tokenizer& tokenizer);

}  // namespace longview
