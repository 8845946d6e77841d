#include "longview/segment/wordings.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <span>
#include <sstream>

#include "longview/base/check.h"
#include "longview/base/names.h"

namespace longview {

const std::string_view kIntroduction =
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz you about the "
    "important "
    "information there.";
const std::string_view kLoopFiller = " The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

namespace {

using Texts = std::vector<std::string>;

// What "many" is made of: every adjective with every noun, every lead with every statement and every ending, every question with every
// answer.
constexpr std::array<std::string_view, 36> kAdjectives{
    "secret", "access", "hidden", "master", "entry",  "special", "door",   "private", "lucky",  "vault",  "locker", "account",
    "ticket", "room",   "safe",   "order",  "launch", "winning", "magic",  "garden",  "office", "bank",   "travel", "member",
    "river",  "school", "radio",  "house",  "market", "silent",  "common", "tower",   "guest",  "engine", "winter", "library"};
constexpr std::array<std::string_view, 28> kNouns{"code",    "number", "key",   "combination", "word", "phrase",  "token",
                                                  "sign",    "mark",   "pin",   "signal",      "name", "entry",   "answer",
                                                  "badge",   "title",  "stamp", "address",     "line", "formula", "symbol",
                                                  "message", "motto",  "index", "record",      "seal", "rule",    "date"};
constexpr std::array<std::string_view, 12> kLeads{" ",
                                                  " Note that ",
                                                  " Keep this in mind: ",
                                                  " Someone said that ",
                                                  " It is written that ",
                                                  " By the way, ",
                                                  "\nListen: ",
                                                  " For the record, ",
                                                  " As agreed, ",
                                                  "\nNews: ",
                                                  " I tell you that ",
                                                  " From today on "};
constexpr std::array<std::string_view, 8> kStatements{"the {thing}{of} is {key}",
                                                      "the {thing}{of}: {key}",
                                                      "{key} is the {thing}{of}",
                                                      "the {thing}{of} has become {key}",
                                                      "we chose {key} as the {thing}{of}",
                                                      "the {thing}{of} reads {key}",
                                                      "the {thing}{of} was changed to {key}",
                                                      "{key} shall be the {thing}{of}"};
constexpr std::array<std::string_view, 9> kEndings{". ",
                                                   ". Remember it. {key} is the {thing}{of}. ",
                                                   ". Once more, it is {key}. ",
                                                   ". Yes, {key}. ",
                                                   ". Do not forget {key}.\n",
                                                   ". Write it down: {key}. ",
                                                   " (again: {key}). ",
                                                   ", and nothing but {key}. ",
                                                   ". That is all.\n"};
constexpr std::array<std::string_view, 12> kAsked{" What is the {thing}{of}?",
                                                  " Question: what is the {thing}{of}?",
                                                  " Tell me the {thing}{of}.",
                                                  "\nQ: What was the {thing}{of}?",
                                                  " Do you remember the {thing}{of}?",
                                                  " And the {thing}{of}?",
                                                  " Now say the {thing}{of}.",
                                                  " I forgot the {thing}{of}.",
                                                  " Who knows the {thing}{of}?",
                                                  " One thing is asked: the {thing}{of}.",
                                                  "\nThe {thing}{of}?",
                                                  " Let us hear the {thing}{of}."};
constexpr std::array<std::string_view, 8> kAnswers{
    " The {thing}{of} is {key}.", " Answer: {key}.",     " It is {key}.",        "\nA: {key}.\n", " {key}.",
    " Of course, {key}.",         " I was told: {key}.", " That would be {key}."};

// Sentences that are made up on the spot: {words} are none to three common words, or ones nobody has heard, {mark} is punctuation or
// nothing, what stands between {open} and {close} may be in quotes or brackets. What a held-out wording is known by is not among them.
// clang-format off
constexpr std::array<std::string_view, 10> kMadeUpStatements{
    "{words} the {thing}{of}{words}{mark} {key}. ",
    "{words} the {thing}{of}{words} {key}{words}. ",
    "{words} {key}{words} the {thing}{of}{words}. ",
    "{words}{mark} {key}{mark}{words} {thing}{of}{words}. ",
    "{words} {open}{key}{close}{words} the {thing}{of}{words}.\n",
    "\n{words}{mark} the {thing}{of}{words} {key}, {key}{words}.\n",
    "{words} the {thing}{of}{words} {key}.{words} {key}. ",
    "\nThe {thing}{of}{words} {open}{key}{close}{words}. ",
    "\n{open}{thing}{of}{close}{mark} {key}\n",
    "\n{key}{mark} {thing}{of}{words}\n"};
constexpr std::array<std::string_view, 7> kMadeUpQuestions{
    "{words} the {thing}{of}{words}?{words} {key}.",
    "{words} the {thing}{of}{words}.{words} {key}.",
    "{words} the {thing}{of}{words}{mark}{words} {key}.",
    "{words} the {thing}{of}{words},{words}: {key}.",
    "{words} {thing}{of}{words}{mark} {key}\n",
    "\n{open}{thing}{of}{close}{mark} {key}\n",
    "\n{words} the {thing}{of}{words}?\n{words}{mark} {key}\n"};
constexpr std::array<std::string_view, 12> kMarks{"", "", ":", ",", ";", " -", " =", " ->", " |", " ...", " ~", "!"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kBrackets{{{"", ""}, {"\"", "\""}, {"'", "'"}, {"(", ")"}, {"<", ">"}, {"*", "*"}}};
constexpr std::string_view kCommon = R"(
about above across after again all almost also always and another any around as away back became because been before behind
below best better between big both brought but by call came can change come could day did down each early either end enough
even ever every far few first for from full get go good got great had half hand hard have he head hear held her here high him
his home how however if in indeed into its just keep kind knew know known large last late later least left less let life light
like line little long made make man many may mean men might mine more most much must near never next night no none nor not
nothing now of off often old on once one open or other our out over own part past place quite rather read ready right round
said same saw say see seems seen shall she short should since small so some soon spoken stand still such take taken tell than
that their them then there these thing think this those though thought three through time today together told too took true
turn two under until upon us very was way we well went were what when where while white who whole why with without word work
world would write written year yes yet you young)";
// clang-format on

constexpr std::array<std::string_view, 6> kHeldOutThings{"archive locator", "cellar password", "license plate",
                                                         "parcel label",    "ferry permit",    "patient chart"};
constexpr std::array<std::string_view, 4> kHeldOutStatements{" You will need the {thing}{of}, which is {key}. Do not lose {key}. ",
                                                             " They have set the {thing}{of} to {key}; only {key} will do. ",
                                                             " My brother uses {key} whenever the {thing}{of} is wanted. ",
                                                             "\n[{thing}{of}] => {key}\n"};
constexpr std::array<std::string_view, 4> kHeldOutQuestions{
    " Which {thing}{of} was given? It was {key}.", " Repeat the {thing}{of}: {key}.",
    " Please look up the {thing}{of}. Found: {key}.", "\nUser: {thing}{of}, please.\nAssistant: {key}\n"};

Texts texts(std::span<const std::string_view> parts) { return {parts.begin(), parts.end()}; }
Texts product(const Texts& first, std::string_view between, std::span<const std::string_view> second) {
  Texts out;
  for (const auto& a : first)
    for (const auto b : second) out.push_back(fmt::format("{}{}{}", a, between, b));
  return out;
}

constexpr std::array<std::string_view, 64> kWords{
    "amber",  "anchor", "apple",  "arrow",  "badger", "barley", "basket", "beacon",  "birch",   "bishop", "bottle",
    "branch", "bridge", "bronze", "candle", "canyon", "castle", "cedar",  "cherry",  "cliff",   "clover", "copper",
    "coral",  "cradle", "crown",  "dagger", "desert", "eagle",  "ember",  "falcon",  "feather", "fern",   "fiddle",
    "forest", "garnet", "ginger", "hammer", "harbor", "heron",  "island", "ivory",   "jasper",  "kettle", "ladder",
    "lemon",  "lily",   "magnet", "maple",  "marble", "meadow", "mirror", "needle",  "olive",   "orchid", "otter",
    "pebble", "pepper", "quartz", "raven",  "reed",   "saddle", "silver", "thistle", "walnut"};

constexpr std::string_view kFirst = "bcdfghjklmnprstvw", kVowels = "aeiou", kLast = "lnrst";

/// Syllables that are no word.
std::string unheard(Random& random) {
  std::string out;
  for (int64_t syllable = 0, syllables = random.between(2, 3); syllable < syllables; ++syllable)
    out += {random.one_of(kFirst), random.one_of(kVowels), random.one_of(kLast)};
  return out;
}

/// None to three words, each with a space before it.
std::string words(Random& random) {
  static const std::vector<std::string> common = [] {
    std::vector<std::string> out;
    std::istringstream all{std::string(kCommon)};
    for (std::string word; all >> word;) out.push_back(word);
    return out;
  }();
  std::string out;
  for (int64_t count = random.below(4); count > 0; --count)
    out += ' ' + (random.chance(0.2) ? unheard(random) : random.one_of(common));
  return out;
}

/// Something else in every place of a blank.
void fill(std::string& text, std::string_view blank, const std::function<std::string()>& draw) {
  for (size_t at = text.find(blank); at != std::string::npos;) {
    const std::string with = draw();
    text.replace(at, blank.size(), with);
    at = text.find(blank, at + with.size());
  }
}
void put(std::string& text, std::string_view blank, std::string_view with) {
  fill(text, blank, [&] { return std::string(with); });
}

}  // namespace

const Grammar& grammar(std::string_view name) {
  static const std::map<std::string, Grammar, std::less<>> all{
      {"one",
       {{"pass key"},
        {" The {thing}{of} is {key}. Remember it. {key} is the {thing}{of}. "},
        {" What is the {thing}{of}? The {thing}{of} is {key}."}}},
      {"many",
       {product(texts(kAdjectives), " ", kNouns), product(product(texts(kLeads), "", kStatements), "", kEndings),
        product(texts(kAsked), "", kAnswers), 0.5}},
      {"heldout", {texts(kHeldOutThings), texts(kHeldOutStatements), texts(kHeldOutQuestions)}},
      {"table", {{""}, {"\n{name} = {key};"}, {"\n{name} = {key};"}}}};
  if (const auto found = all.find(name); found != all.end()) return found->second;
  const std::vector<std::string> known = {"one", "many", "heldout", "table"};
  throw Error("[passkey] " + unknown_name("wordings", name, known));
}

std::string Grammar::thing(Random& random) const {
  if (!random.chance(invented)) return random.one_of(things);
  return random.chance(0.5) ? unheard(random) : unheard(random) + ' ' + unheard(random);
}

std::string Grammar::statement(Random& random) const { return sentence(statements, kMadeUpStatements, random); }
std::string Grammar::question(Random& random) const { return sentence(questions, kMadeUpQuestions, random); }

std::string Grammar::sentence(const Texts& known, std::span<const std::string_view> forms, Random& random) const {
  if (!random.chance(invented)) return random.one_of(known);
  std::string out(random.one_of(forms));
  const auto [open, close] = random.one_of(kBrackets);
  put(out, "{open}", open);
  put(out, "{close}", close);
  fill(out, "{mark}", [&] { return std::string(random.one_of(kMarks)); });
  fill(out, "{words}", [&] { return words(random); });
  return out;
}

std::string random_key(std::string_view kind, Random& random) {
  const std::vector<std::string> kinds = {"digits", "words", "codes"};
  if (kind == "mixed") return random_key(random.one_of(kinds), random);
  std::string out;
  if (kind == "digits") {
    for (int i = 0; i < 5; ++i) out += static_cast<char>('0' + random.below(10));
  } else if (kind == "words") {
    for (int i = 0; i < 3; ++i)
      out += fmt::format("{}{}", i == 0 ? "" : " ", kWords[static_cast<size_t>(random.below(kWords.size()))]);
  } else if (kind == "codes") {
    constexpr std::string_view signs = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";  // none that are taken for another
    for (int i = 0; i < 6; ++i)
      out += fmt::format("{}{}", i == 3 ? "-" : "", signs[static_cast<size_t>(random.below(signs.size()))]);
  } else {
    auto known = kinds;
    known.emplace_back("mixed");
    throw Error("[passkey] " + unknown_name("keys", kind, known));
  }
  return out;
}

std::string alike(const std::string& key, Random& random) {
  const bool has_words = key.find(' ') != std::string::npos;
  const std::string_view kind = has_words ? "words" : key.find('-') != std::string::npos ? "codes" : "digits";
  const int64_t kept = has_words ? random.between(1, 2) : random.between(1, static_cast<int64_t>(key.size()) - 1);
  const auto end = [&](const std::string& text) {  // of what is kept: words, or signs
    if (!has_words) return static_cast<size_t>(kept);
    const size_t first = text.find(' ');
    return kept == 1 ? first : text.find(' ', first + 1);
  };
  std::string out = key;
  while (out == key) {
    const std::string other = random_key(kind, random);
    out = key.substr(0, end(key)) + other.substr(end(other));
  }
  return out;
}

Numbers::Numbers(Random& random)
    : style_(static_cast<Style>(random.below(static_cast<int64_t>(Style::kCount)))),
      runs_(random.chance(0.75)),
      label_(random.chance(0.6) ? unheard(random).substr(0, static_cast<size_t>(random.between(1, 3))) : ""),
      chapter_(random.between(1, 150)),
      verse_(random.between(1, 60)) {
  if (label_.empty()) return;
  label_[0] = static_cast<char>(std::toupper(label_[0]));
  if (random.chance(0.5)) label_ = fmt::format("{}{}", random.between(1, 9), label_);
}

std::string Numbers::next(Random& random) {
  const auto below = [&](int64_t limit) { return random.below(limit); };
  if (!runs_) chapter_ = 1 + below(150), verse_ = 1 + below(60);
  else if (++verse_ > 60) ++chapter_, verse_ = 1;
  switch (style_) {
    case Style::kVerse: return fmt::format("\n{}{}:{} ", label_, chapter_, verse_);
    case Style::kList: return fmt::format(" {}{}. ", label_, runs_ ? verse_ : 1 + below(999));
    case Style::kYear: return fmt::format(" in {} ", 1000 + below(1030));
    case Style::kAmount: return fmt::format(" {},{:03} ", 1 + below(999), below(1000));
    case Style::kCode: return fmt::format(" {} ", random_key("codes", random));
    case Style::kWord: return fmt::format(" {} ", random.one_of(kWords));
    default: return fmt::format(" {} ", below(below(2) == 0 ? 100000 : below(2) == 0 ? 1000000 : 100));
  }
}

std::string random_name(Random& random) {
  std::string out;
  for (int i = 0; i < 4; ++i) out += static_cast<char>('a' + random.below(26));
  return out;
}

Wording worded(std::string_view pattern, const Blanks& blanks, const Tokenizer& tokenizer) {
  std::string text(pattern);
  put(text, "{of}", blanks.name.empty() ? "" : " for " + blanks.name);
  put(text, "{thing}", blanks.thing);
  put(text, "{name}", blanks.name);
  std::vector<size_t> places;  // bytes where the key begins
  for (size_t at = text.find("{key}"); at != std::string::npos; at = text.find("{key}", at)) {
    text.replace(at, 5, blanks.key);
    places.push_back(at);
    at += blanks.key.size();
  }
  Wording out{tokenizer.encode(text), {}};
  std::vector<size_t> ends;  // bytes of the text that are spelled up to and with each token
  std::string spelled;
  for (const Id id : out.ids) {
    spelled += tokenizer.bytes(id);
    ends.push_back(spelled.size());
  }
  const size_t before = spelled.size() - std::min(spelled.size(), text.size());  // the space that "spm" puts before a text
  LV_CHECK(spelled.substr(before) == text && before <= 1, "[passkey] the tokenizer reads '{}' as '{}'", text, spelled);
  for (const size_t place : places) {
    const auto from = std::upper_bound(ends.begin(), ends.end(), place + before) - ends.begin();
    const auto to = std::lower_bound(ends.begin(), ends.end(), place + before + blanks.key.size()) - ends.begin() + 1;
    out.keys.emplace_back(from, to);
  }
  return out;
}

}  // namespace longview
