// Rows that ask for keys they have shown: the data mix of a memory that finds a passkey. The published test is landmark attention's
// (arXiv:2305.16300, as arXiv:2404.07143 uses it); needles and questions are dense here, since what starts recall is how many
// different needles a step has, and a segment of filler before the first needle may count r times in the memory, which is linear:
// a row then leaves the memory of a text that is as many times longer. Filler behind a needle counts once: what its windows show it
// of the key, or what they hand on, would else be in the memory r times too, and a model learns to find that.
#include "longview/segment/passkey.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "longview/segment/rows.h"

namespace longview {
namespace {

enum Kind : int8_t { kText, kCopy, kSame, kNear, kFar, kEnd = 8 };  // same, near and far again for named needles, 5 to 7
constexpr int8_t kNamed = 3;

struct PasskeyConfig {
  std::string path, field = "text", only;
  double rows = 1, loop = 0.35, snippet = 0.15, loops = 0.12, numbers = 0, intro = 0.8, named = 0.35, gathered = 0.5, alike = 0;
  int64_t needles = 8, questions = 0, fresh = 0;
  double early = 0.5, adjacent = 0.5, edges = 0.1, shield = 0.7, replicated = 0.75;
  std::string wordings = "one", keys = "digits";
  void fields(auto&& visit) {
    visit("path", path, "texts for filler and text rows; none: the loop is the only filler");
    visit("field", field, "of JSON lines");
    visit("only", only, "texts that have this in their path below path=");
    visit("rows", rows, "share of rows with needles; the others are text");
    visit("loop", loop, "share of them whose filler is the five sentences");
    visit("snippet", snippet, "share whose filler is a snippet of text repeated; the rest is running text");
    visit("loops", loops, "share of text rows that are a snippet repeated");
    visit("numbers", numbers,
          "share of rows with needles whose filler is full of numbers, codes or words like a key's that are none");
    visit("intro", intro, "share that begins by saying what is to come (none at 512 tokens or less)");
    visit("named", named, "share with several needles, each with a name");
    visit("needles", needles, "most of them");
    visit("gathered", gathered, "share of rows with names that show all needles before the first question");
    visit("questions", questions, "most in a row; 0: 4 at 512 tokens, 8 at 1k, 12 at 2k, 16 at 4k, then 32");
    visit("fresh", fresh, "an answer is scored if no other has said the same key in so many tokens before it; 0: always");
    visit("alike", alike, "share of keys, and of the filler's numbers, that begin like another key of the row");
    visit("early", early, "0: needles stand anywhere; 1: near the beginning");
    visit("adjacent", adjacent, "share of one-needle rows with a question right behind it");
    visit("edges", edges, "share of questions moved until their answer begins near a segment's beginning, where least is in view");
    visit("shield", shield, "share of rows whose questions are not written to the memory");
    visit("replicated", replicated, "share of rows whose filler before the first needle counts several times in the memory");
    visit("wordings", wordings, "one, many, heldout or table");
    visit("keys", keys, "digits, words, codes or mixed");
  }
};

/// A needle, a question, or a needle with a question right behind it.
struct Item {
  double place = 0;  // orders the items
  size_t needle = 0;
  bool is_question = false, has_adjacent = false;
};

/// Whether each of `count` rows is one of a share of them: as near to the share as whole rows can be.
std::vector<bool> spread(int64_t count, double share, Random& random) {
  std::vector<bool> out;
  const double start = random.uniform();
  for (int64_t i = 0; i < count; ++i)
    out.push_back(std::floor(static_cast<double>(i + 1) * share + start) > std::floor(static_cast<double>(i) * share + start));
  return out;
}

class Passkey final : public NumberedSource {
 public:
  Passkey(std::string name, PasskeyConfig config, const SourceNeeds& needs, TokenStore store)
      : NumberedSource(std::move(name), needs.seed),
        config_(std::move(config)),
        tokenizer_(needs.tokenizer),
        words_(grammar(config_.wordings)),
        crops_(std::move(store)),
        introduction_(tokenizer_->encode(kIntroduction)),
        sentences_(tokenizer_->encode(kLoopFiller)) {}

  std::vector<std::string> kinds() const override {
    return {"text",           "copy", "same segment", "1-3 back", "4+ back", "named, same segment", "named, 1-3 back",
            "named, 4+ back", "end"};
  }
  std::string loss(size_t kind) const override {
    return kind == kText ? "text" : kind >= kSame + kNamed && kind <= kFar + kNamed ? "names" : "answers";
  }

 protected:
  std::vector<Row> rows(const BatchShape& shape, const Random& random) const override {
    Random own = random.fork(static_cast<uint64_t>(shape.rows));
    const auto recall = std::min(shape.rows, static_cast<int64_t>(static_cast<double>(shape.rows) * config_.rows + own.uniform()));
    const auto named = spread(recall, config_.named, own);
    const auto looped = spread(shape.rows - recall, config_.loops, own);
    std::vector<Row> out(static_cast<size_t>(shape.rows), Row(shape.length));
    for (int64_t b = 0; b < shape.rows; ++b) {
      const auto i = static_cast<size_t>(b);
      Random drawn = random.fork(i);
      if (b < recall) recall_row(out[i], shape, named[i], drawn);
      else text_row(out[i], looped[static_cast<size_t>(b - recall)], drawn);
    }
    return out;
  }

 private:
  struct Needle {
    Blanks blanks;
    Wording wording;
    int64_t key_at = -1;                   // where the key begins that questions ask for; -1: it has not been said yet
    std::optional<int64_t> answered_at{};  // where the last answer that said it ended
  };

  void snippet(std::span<Id> to, int64_t least, int64_t most, Random& random) const {
    std::vector<Id> piece(static_cast<size_t>(random.between(std::min(least, most), most)));
    crops_.fill(piece, random);
    repeat(piece, to, random);
  }

  void text_row(Row& row, bool is_loop, Random& random) const {
    if (is_loop) snippet(row.ids, 64, std::max<int64_t>(1, row.length() / 2), random);
    else crops_.fill(row.ids, random);
    row.score(1, row.length() + 1, kText);
  }

  void fill(Row& row, Random& random) const {
    const double drawn = crops_.empty() ? 0 : random.uniform();
    if (drawn < config_.loop || crops_.empty()) repeat(sentences_, row.ids, random);
    else if (drawn < config_.loop + config_.snippet) snippet(row.ids, 30, std::min<int64_t>(400, row.length()), random);
    else crops_.fill(row.ids, random);
  }

  /// Numbers of one style, some 12 to 300 tokens apart, in place of what stood there; some begin like one of the keys.
  void add_numbers(Row& row, const std::vector<Needle>& needles, Random& random) const {
    Numbers numbers(random);
    const double apart = 12 * std::pow(25.0, random.uniform());
    for (auto at = static_cast<int64_t>(apart * random.uniform()); at < row.length();
         at += static_cast<int64_t>(apart * (0.5 + random.uniform()))) {
      const std::string number =
          random.chance(config_.alike) ? ' ' + alike(random.one_of(needles).blanks.key, random) + ' ' : numbers.next(random);
      const auto ids = tokenizer_->encode(number);
      if (at + static_cast<int64_t>(ids.size()) > row.length()) break;
      std::copy(ids.begin(), ids.end(), row.ids.begin() + at);
      at += static_cast<int64_t>(ids.size());
    }
  }

  int64_t most_questions(int64_t length) const {
    if (config_.questions > 0) return config_.questions;
    return length <= 512 ? 4 : length <= 1024 ? 8 : length <= 2048 ? 12 : length <= 4096 ? 16 : 32;
  }

  std::vector<Needle> needles(int64_t count, bool is_named, const std::string& thing, Random& random) const {
    std::vector<Needle> out;
    std::set<std::string> taken;
    while (static_cast<int64_t>(out.size()) < count) {
      const std::string key = !out.empty() && random.chance(config_.alike) ? alike(random.one_of(out).blanks.key, random)
                                                                           : random_key(config_.keys, random);
      const Blanks blanks{thing, is_named ? random_name(random) : "", key};
      if (!taken.insert(blanks.name).second) continue;
      out.push_back({blanks, worded(words_.statement(random), blanks, *tokenizer_)});
    }
    return out;
  }

  Wording question(const Blanks& blanks, Random& random) const { return worded(words_.question(random), blanks, *tokenizer_); }

  /// Needles and questions in their order, each question behind the needle it asks for. Among those that ask at once, a name is asked for once, since an
  /// answer says the key again, and the last key seen is the answer; names are learned where several needles wait for their questions.
  std::vector<Item> items(int64_t needles, int64_t questions, bool is_named, Random& random) const {
    std::vector<Item> out;
    const bool has_adjacent = !is_named && random.chance(config_.adjacent);
    for (int64_t n = 0; n < needles; ++n)
      out.push_back({random.uniform() * (1 - config_.early * random.uniform()), static_cast<size_t>(n), false, has_adjacent});
    for (int64_t q = has_adjacent ? 1 : 0; q < questions; ++q) out.push_back({random.uniform(), 0, true, false});
    std::sort(out.begin(), out.end(), [](const Item& a, const Item& b) { return a.place < b.place; });
    const bool is_gathered = is_named && random.chance(config_.gathered);
    if (is_gathered) std::stable_partition(out.begin(), out.end(), [](const Item& item) { return !item.is_question; });
    std::vector<size_t> seen;
    for (auto item = out.begin(); item != out.end();) {
      if (!item->is_question) seen.push_back(item->needle);
      else if (seen.empty()) {
        item = out.erase(item);
        continue;
      } else {
        const auto asked = seen.begin() + random.below(static_cast<int64_t>(seen.size()));
        item->needle = *asked;
        if (is_named && !is_gathered) seen.erase(asked);
      }
      ++item;
    }
    return out;
  }

  /// Whether the name decides each token of a key: whether keys said so far that begin as this one does go on in different ways. The other tokens are
  /// told by those before them, and are scored as those of a key without a name are.
  static std::vector<bool> decided_by_name(const Needle& needle, const std::vector<Needle>& all) {
    const auto key_of = [](const Needle& one) {
      const auto [from, to] = one.wording.keys.front();
      return std::span(one.wording.ids).subspan(static_cast<size_t>(from), static_cast<size_t>(to - from));
    };
    const auto key = key_of(needle);
    std::vector<bool> out(key.size());
    for (const Needle& other : all) {
      if (&other == &needle || other.key_at < 0) continue;
      const auto alike = key_of(other);
      const auto parts = static_cast<size_t>(std::mismatch(key.begin(), key.end(), alike.begin(), alike.end()).first - key.begin());
      if (parts < out.size()) out[parts] = true;
    }
    return out;
  }

  void recall_row(Row& row, const BatchShape& shape, bool is_named, Random& random) const;
  void weigh(Row& row, const BatchShape& shape, bool is_replicated, const std::vector<bool>& has_needle,
             const std::vector<bool>& has_question, Random& random) const;

  PasskeyConfig config_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  const Grammar& words_;
  Crops crops_;
  std::vector<Id> introduction_, sentences_;
};

/// `count` numbers of [0, room], in order, every choice of them (with repetitions) equally often.
std::vector<int64_t> gaps(size_t count, int64_t room, Random& random) {
  std::set<int64_t> places;
  while (places.size() < count) places.insert(random.below(room + static_cast<int64_t>(count)));
  std::vector<int64_t> out(places.begin(), places.end());
  for (size_t i = 0; i < out.size(); ++i) out[i] -= static_cast<int64_t>(i);
  return out;
}

void Passkey::recall_row(Row& row, const BatchShape& shape, bool is_named, Random& random) const {
  const int64_t T = row.length(), N = shape.segment > 0 ? shape.segment : T;
  fill(row, random);
  const std::string thing = words_.thing(random);
  const bool has_names = is_named || config_.wordings == "table";
  const int64_t count = is_named ? random.between(std::min<int64_t>(2, config_.needles), config_.needles) : 1;
  auto shown = needles(count, has_names, thing, random);
  if (config_.numbers > 0 && random.chance(config_.numbers)) add_numbers(row, shown, random);
  int64_t first = 0;  // token where the first needle may stand
  if (T > 512 && static_cast<int64_t>(introduction_.size()) < T / 2 && random.chance(config_.intro)) {
    std::copy(introduction_.begin(), introduction_.end(), row.ids.begin());
    first = static_cast<int64_t>(introduction_.size());
  }
  const bool is_replicated = shape.segment > 0 && shape.replication > 1 && random.chance(config_.replicated);
  const int64_t most = T + 1 - first - T / 4;  // tokens of needles and questions: a quarter of the row is filler
  if (is_replicated && N <= T / 4) first = std::max(first, random.between(N, T / 4));  // counted before the first needle
  auto order = items(count, most_questions(T), is_named, random);

  // Pieces of the row: what of the order fits.
  struct Piece {
    Item item;
    Wording wording, adjacent;
    int64_t gap = 0, size = 0;
  };
  std::vector<Piece> pieces;
  int64_t used = 0;
  for (const Item& item : order) {
    Piece piece{item, item.is_question ? question(shown[item.needle].blanks, random) : shown[item.needle].wording, {}};
    if (item.has_adjacent) {
      piece.adjacent = question(shown[item.needle].blanks, random);
      piece.gap = random.below(48);
    }
    piece.size = static_cast<int64_t>(piece.wording.ids.size() + piece.adjacent.ids.size()) + piece.gap;
    used += piece.size;
    pieces.push_back(std::move(piece));
  }
  const int64_t room = T + 1 - first;
  while (used > most) {
    // What makes room: a needle that has others beside it, with its question; a question, where all ask for one.
    std::vector<size_t> present, loose;
    for (size_t i = 0; i < pieces.size(); ++i)
      if (pieces[i].item.is_question) loose.push_back(i);
      else present.push_back(pieces[i].item.needle);
    LV_CHECK(!loose.empty() || present.size() > 1,
             "[{}] a row of {} tokens has no room for a needle and a question; take longer rows", name(), T);
    const auto one = [&](const std::vector<size_t>& of) {
      return of[static_cast<size_t>(random.below(static_cast<int64_t>(of.size())))];
    };
    if (present.size() > 1) {
      const size_t needle = one(present);
      std::erase_if(pieces, [&](const Piece& piece) { return piece.item.needle == needle; });
    } else pieces.erase(pieces.begin() + static_cast<int64_t>(one(loose)));
    used =
        std::accumulate(pieces.begin(), pieces.end(), int64_t{0}, [](int64_t sum, const Piece& piece) { return sum + piece.size; });
  }

  const auto segments = static_cast<size_t>((T + N - 1) / N);
  std::vector<bool> has_needle(segments), has_question(segments);
  const auto place = [&](const Wording& wording, int64_t at, std::vector<bool>& marks) {
    std::copy(wording.ids.begin(), wording.ids.end(), row.ids.begin() + at);
    for (int64_t t = at; t < std::min(T, at + static_cast<int64_t>(wording.ids.size())); ++t)
      marks[static_cast<size_t>(t / N)] = true;
  };
  const auto ask = [&](const Wording& wording, int64_t at, Needle& needle) {
    place(wording, at, has_question);
    const auto [from, to] = wording.keys.back();
    const bool is_fresh = !needle.answered_at || at + from - *needle.answered_at >= config_.fresh;
    needle.answered_at = at + to;
    if (!is_fresh) return;
    const int64_t back = (at + from) / N - needle.key_at / N;
    const int8_t kind = back <= 0 ? kSame : back <= 3 ? kNear : kFar;
    row.score(at + from, at + to, kind);
    if (is_named) {
      const auto decided = decided_by_name(needle, shown);
      for (size_t i = 0; i < decided.size(); ++i) {
        const int64_t token = at + from + static_cast<int64_t>(i);
        if (decided[i]) row.score(token, token + 1, static_cast<int8_t>(kind + kNamed));
      }
    }
    if (to < static_cast<int64_t>(wording.ids.size())) row.score(at + to, at + to + 1, kEnd);
  };
  // Gathered needles take a share of the row that is drawn, mostly a large one, its questions the rest: else the more questions there are, the nearer
  // the needles would stand to each other.
  const auto is_needle = [](const Piece& piece) { return !piece.item.is_question; };
  const auto needles_first = static_cast<size_t>(std::count_if(pieces.begin(), pieces.end(), is_needle));
  const int64_t free = room - used, split = std::max(random.below(free + 1), random.below(free + 1));
  const bool is_gathered = is_named && std::is_partitioned(pieces.begin(), pieces.end(), is_needle);
  auto starts = gaps(is_gathered ? needles_first : pieces.size(), is_gathered ? split : free, random);
  if (is_gathered)
    for (const int64_t gap : gaps(pieces.size() - needles_first, free - split, random)) starts.push_back(split + gap);
  int64_t before = first;  // what leads to the first needle, and the pieces that are placed
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    Needle& needle = shown[piece.item.needle];
    if (piece.item.is_question && random.chance(config_.edges)) {
      const int64_t answer = before + starts[i] + piece.wording.keys.back().first;
      const int64_t moved = starts[i] + (answer + N / 2) / N * N + random.between(-8, 8) - answer;
      if (moved >= (i > 0 ? starts[i - 1] : 0) && moved <= (i + 1 < starts.size() ? starts[i + 1] : room - used)) starts[i] = moved;
    }
    const int64_t at = before + starts[i];
    before += piece.size;
    if (piece.item.is_question) {
      ask(piece.wording, at, needle);
      continue;
    }
    place(piece.wording, at, has_needle);
    needle.key_at = at + piece.wording.keys.front().first;
    for (size_t copy = 1; copy < piece.wording.keys.size(); ++copy)
      row.score(at + piece.wording.keys[copy].first, at + piece.wording.keys[copy].second, kCopy);
    if (piece.item.has_adjacent) ask(piece.adjacent, at + static_cast<int64_t>(piece.wording.ids.size()) + piece.gap, needle);
  }
  if (shape.segment > 0) weigh(row, shape, is_replicated, has_needle, has_question, random);
}

// R_b log-uniform in [1, R]; filler before the first needle r = max(1, R_b U(0.2, 1.8)), behind it 1, needles 1, questions 1 or, shielded, 0.
void Passkey::weigh(Row& row, const BatchShape& shape, bool is_replicated, const std::vector<bool>& has_needle,
                    const std::vector<bool>& has_question, Random& random) const {
  const double scale = is_replicated ? std::exp(random.uniform() * std::log(shape.replication)) : 1;
  const bool is_shielded = random.chance(config_.shield);
  const auto first = static_cast<size_t>(std::find(has_needle.begin(), has_needle.end(), true) - has_needle.begin());
  for (size_t segment = 0; segment < has_needle.size(); ++segment) {
    double weight = 1;
    if (is_replicated && segment < first) weight = std::max(1.0, scale * (0.2 + 1.6 * random.uniform()));
    else if (has_question[segment] && !has_needle[segment] && is_shielded) weight = 0;
    const auto from = static_cast<int64_t>(segment) * shape.segment, to = std::min(row.length(), from + shape.segment);
    std::fill(row.write.begin() + from, row.write.begin() + to, static_cast<float>(weight));
  }
}

std::unique_ptr<Source> made(std::string name, const PasskeyConfig& config, const SourceNeeds& needs) {
  for (const double share :
       {config.rows, config.loop, config.snippet, config.loop + config.snippet, config.loops, config.numbers, config.intro,
        config.named, config.gathered, config.alike, config.early, config.adjacent, config.edges, config.shield, config.replicated})
    LV_CHECK(share >= 0 && share <= 1, "[{}] shares must be from 0 to 1; got {}", name, share);
  LV_CHECK(config.fresh >= 0, "[{}] fresh must not be negative; got {}", name, config.fresh);
  LV_CHECK(config.needles >= 1 && config.needles <= 1024 && config.questions >= 0, "[{}] needles must be 1 to 1024; got {}", name,
           config.needles);
  LV_CHECK(config.rows == 1 || !config.path.empty(), "[{}] rows={} leaves rows for text; path= must name some", name, config.rows);
  Random unused(0);
  random_key(config.keys, unused);  // throws on a kind of keys that is not known
  TokenStore store;
  if (!config.path.empty()) store = needs.tokens({config.path, config.field, config.only});
  return std::make_unique<Passkey>(std::move(name), config, needs, std::move(store));
}

}  // namespace

std::unique_ptr<Source> make_passkey(const Setting& setting, const SourceNeeds& needs) {
  return made("passkey", with_values(PasskeyConfig{}, setting), needs);
}

// Many named keys in a row and many questions: NAME = KEY; anywhere in the filler, asked for by NAME = .
std::unique_ptr<Source> make_recall(const Setting& setting, const SourceNeeds& needs) {
  PasskeyConfig config;
  config.wordings = "table";
  config.named = 1;
  config.needles = config.questions = 16;
  config.intro = config.adjacent = 0;
  return made("recall", with_values(config, setting), needs);
}

}  // namespace longview
