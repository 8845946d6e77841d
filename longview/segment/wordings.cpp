#include "longview/segment/wordings.h"

#include <algorithm>
#include <array>

#include "longview/base/check.h"
#include "longview/base/names.h"

namespace longview {

const std::string_view kIntroduction =
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz you about the "
    "important "
    "information there.";
const std::string_view kLoopFiller = " The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

namespace {

using Texts = std::span<const std::string_view>;

constexpr std::array<std::string_view, 1> kThing{"pass key"};
constexpr std::array<std::string_view, 1> kStatement{" The {thing}{of} is {key}. Remember it. {key} is the {thing}{of}. "};
constexpr std::array<std::string_view, 1> kQuestion{" What is the {thing}{of}? The {thing}{of} is {key}."};
constexpr std::array<std::string_view, 1> kRow{"\n{name} = {key};"};

constexpr std::array<std::string_view, 24> kThings{
    "pass key",     "secret code",   "access code",    "door code",    "lock combination", "vault number",
    "badge number", "serial number", "ticket number",  "locker code",  "room code",        "entry code",
    "safe code",    "gate code",     "control number", "order number", "reference number", "account code",
    "alarm code",   "master key",    "hidden number",  "case number",  "storage code",     "launch code"};
constexpr std::array<std::string_view, 6> kStatements{" The {thing}{of} is {key}. Remember it. {key} is the {thing}{of}. ",
                                                      " Note that the {thing}{of} is {key}. Once more, it is {key}. ",
                                                      " Keep this in mind: the {thing}{of} is {key}. Yes, {key}. ",
                                                      "\nThe {thing}{of}: {key}. Do not forget {key}.\n",
                                                      " Someone said that {key} was the {thing}{of}. The {thing}{of} is {key}. ",
                                                      " {key} is the {thing}{of}. Write it down: {key}. "};
constexpr std::array<std::string_view, 5> kQuestions{
    " What is the {thing}{of}? The {thing}{of} is {key}.", " Question: what is the {thing}{of}? Answer: {key}.",
    " Tell me the {thing}{of}. It is {key}.", "\nQ: What was the {thing}{of}?\nA: {key}.\n",
    " I was told that the {thing}{of} is {key}."};

constexpr std::array<std::string_view, 4> kHeldOutThings{"archive number", "cellar password", "license plate", "parcel label"};
constexpr std::array<std::string_view, 2> kHeldOutStatements{" You will need the {thing}{of}, which is {key}. Do not lose {key}. ",
                                                             " They have set the {thing}{of} to {key}; only {key} will do. "};
constexpr std::array<std::string_view, 2> kHeldOutQuestions{" Which {thing}{of} was given? It was {key}.",
                                                            " Repeat the {thing}{of}: {key}."};

constexpr std::array<std::string_view, 64> kWords{
    "amber",  "anchor", "apple",  "arrow",  "badger", "barley", "basket", "beacon",  "birch",   "bishop", "bottle",
    "branch", "bridge", "bronze", "candle", "canyon", "castle", "cedar",  "cherry",  "cliff",   "clover", "copper",
    "coral",  "cradle", "crown",  "dagger", "desert", "eagle",  "ember",  "falcon",  "feather", "fern",   "fiddle",
    "forest", "garnet", "ginger", "hammer", "harbor", "heron",  "island", "ivory",   "jasper",  "kettle", "ladder",
    "lemon",  "lily",   "magnet", "maple",  "marble", "meadow", "mirror", "needle",  "olive",   "orchid", "otter",
    "pebble", "pepper", "quartz", "raven",  "reed",   "saddle", "silver", "thistle", "walnut"};

void put(std::string& text, std::string_view blank, std::string_view with) {
  for (size_t at = text.find(blank); at != std::string::npos; at = text.find(blank, at + with.size()))
    text.replace(at, blank.size(), with);
}

}  // namespace

Grammar grammar(std::string_view name) {
  if (name == "one") return {kThing, kStatement, kQuestion};
  if (name == "many") return {kThings, kStatements, kQuestions};
  if (name == "heldout") return {kHeldOutThings, kHeldOutStatements, kHeldOutQuestions};
  if (name == "table") return {kThing, kRow, kRow};
  const std::vector<std::string> known = {"one", "many", "heldout", "table"};
  throw Error("[passkey] " + unknown_name("wordings", name, known));
}

std::string random_key(std::string_view kind, Random& random) {
  const std::vector<std::string> kinds = {"digits", "words", "codes"};
  if (kind == "mixed") return random_key(kinds[static_cast<size_t>(random.below(3))], random);
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

std::string random_number(int64_t style, Random& random) {
  const auto below = [&](int64_t limit) { return random.below(limit); };
  switch (style) {
    case 0: return fmt::format("\n{}:{} ", 1 + below(150), 1 + below(60));
    case 1: return fmt::format(" {}. ", 1 + below(999));
    case 2: return fmt::format(" in {} ", 1000 + below(1030));
    case 3: return fmt::format(" {},{:03} ", 1 + below(999), below(1000));
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
