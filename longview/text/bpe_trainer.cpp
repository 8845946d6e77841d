// Byte-pair encoding (Gage 1994; arXiv:1508.07909) over bytes (GPT-2): the most frequent pair of neighbours becomes a token, again
// and again. Of pairs that are as frequent, the one whose left token has the smaller bytes is first, then the right one's.
#include "longview/text/bpe_trainer.h"

#include <algorithm>
#include <optional>
#include <queue>
#include <unordered_map>

#include "longview/base/check.h"
#include "longview/text/alphabet.h"
#include "longview/text/sections.h"
#include "longview/text/split.h"

namespace longview {
namespace {

struct TextHash : std::hash<std::string_view> {
  using is_transparent = void;
};

/// A word of the texts as the tokens it is made of so far.
struct Word {
  std::vector<Id> tokens;
  int64_t count = 0;
};

/// A pair and how often it stood in the texts when it was put in the queue.
struct Candidate {
  int64_t count;
  Id left, right;
};

class Merging {
 public:
  Merging(std::vector<Word> words, int64_t least) : words_(std::move(words)), least_(least), first_(Later{&bytes_}) {
    for (int byte = 0; byte < 256; ++byte) id_of(std::string(1, static_cast<char>(byte)));
    for (size_t word = 0; word < words_.size(); ++word) count(word, 1, kAny);
    offer_changed();
  }

  /// Merges the most frequent pair; nothing if none is left.
  std::optional<std::pair<Id, Id>> next() {
    while (!first_.empty()) {
      const Candidate top = first_.top();
      first_.pop();
      const auto found = pairs_.find(pair_key(top.left, top.right));
      if (found == pairs_.end() || found->second.count != top.count) {  // it has changed since
        if (found != pairs_.end()) offer(found->first);
        continue;
      }
      merge(top.left, top.right, std::move(found->second.words));
      return std::pair{top.left, top.right};
    }
    return std::nullopt;
  }
  int64_t tokens() const { return static_cast<int64_t>(bytes_.size()); }
  const std::string& bytes(Id id) const { return bytes_[static_cast<size_t>(id)]; }

 private:
  struct Pair {
    int64_t count = 0;
    std::vector<uint32_t> words;  // that had it; some may have it no more, or be named twice
  };
  struct Later {
    const std::vector<std::string>* bytes;
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.count != b.count) return a.count < b.count;
      const auto &al = (*bytes)[static_cast<size_t>(a.left)], &bl = (*bytes)[static_cast<size_t>(b.left)];
      if (al != bl) return al > bl;
      return (*bytes)[static_cast<size_t>(a.right)] > (*bytes)[static_cast<size_t>(b.right)];
    }
  };

  static constexpr Id kAny = -1;

  /// Two pairs may spell one token; it is merged from either.
  Id id_of(const std::string& bytes) {
    const auto [at, is_first] = ids_.try_emplace(bytes, static_cast<Id>(bytes_.size()));
    if (is_first) bytes_.push_back(bytes);
    return at->second;
  }

  void offer(uint64_t key) {
    const int64_t count = pairs_[key].count;
    if (count >= least_) first_.push({count, static_cast<Id>(key >> 32), static_cast<Id>(key & 0xFFFFFFFF)});
  }

  void offer_changed() {
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const uint64_t key : changed_) offer(key);
    changed_.clear();
  }

  /// Counts a word's pairs in (sign 1) or out (-1). Pairs with the token `made` are those that may have become more frequent.
  void count(size_t word, int64_t sign, Id made) {
    const auto& [tokens, times] = words_[word];
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const uint64_t key = pair_key(tokens[i], tokens[i + 1]);
      Pair& pair = pairs_[key];
      pair.count += sign * times;
      if (sign < 0 || (made != kAny && tokens[i] != made && tokens[i + 1] != made)) continue;
      if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(static_cast<uint32_t>(word));
      changed_.push_back(key);
    }
  }

  void merge(Id left, Id right, std::vector<uint32_t> words) {
    const Id joined = id_of(bytes(left) + bytes(right));
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    for (const uint32_t word : words) {
      auto& tokens = words_[word].tokens;
      bool has_it = false;
      for (size_t i = 0; i + 1 < tokens.size() && !has_it; ++i) has_it = tokens[i] == left && tokens[i + 1] == right;
      if (!has_it) continue;
      count(word, -1, joined);
      size_t out = 0;
      for (size_t i = 0; i < tokens.size(); ++i, ++out) {
        const bool is_pair = i + 1 < tokens.size() && tokens[i] == left && tokens[i + 1] == right;
        tokens[out] = is_pair ? joined : tokens[i];
        i += is_pair;
      }
      tokens.resize(out);
      count(word, 1, joined);
    }
    pairs_.erase(pair_key(left, right));
    offer_changed();  // a pair that has become rarer is found out when it comes up
  }

  std::vector<Word> words_;
  int64_t least_;
  std::vector<std::string> bytes_;  // by token
  std::unordered_map<std::string, Id> ids_;
  std::unordered_map<uint64_t, Pair> pairs_;
  std::vector<uint64_t> changed_;
  std::priority_queue<Candidate, std::vector<Candidate>, Later> first_;
};

}  // namespace

struct BpeTrainer::Words {
  Split split;
  SplitMemory memory;
  std::unordered_map<std::string, int64_t, TextHash, std::equal_to<>> counts;
};

BpeTrainer::BpeTrainer(BpeTraining settings) : settings_(std::move(settings)), words_(new Words{Split(settings_.split), {}, {}}) {
  const auto fixed = static_cast<int64_t>(256 + settings_.specials.size());
  LV_CHECK(settings_.vocabulary >= fixed && settings_.vocabulary <= 1 << 20,
           "[tokenizer] the vocabulary must be {} (256 bytes, {} special tokens) to 1,048,576; got {}", fixed,
           settings_.specials.size(), settings_.vocabulary);
}

BpeTrainer::~BpeTrainer() = default;

void BpeTrainer::add(std::string_view text) {
  PlainSource source(text);
  Splitter splitter(words_->split, words_->memory, source);
  for (auto piece = splitter.next(); !piece.empty(); piece = splitter.next()) {
    const auto found = words_->counts.find(piece);
    if (found != words_->counts.end()) ++found->second;
    else words_->counts.emplace(piece, 1);
  }
}

TokenizerSpec BpeTrainer::train(const std::function<bool(int64_t, int64_t)>& step) const {
  std::vector<std::pair<std::string_view, int64_t>> sorted(words_->counts.begin(), words_->counts.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<Word> words;
  for (const auto& [bytes, times] : sorted) {
    Word word{{}, times};
    for (const char byte : bytes) word.tokens.push_back(static_cast<uint8_t>(byte));
    words.push_back(std::move(word));
  }
  Merging merging(std::move(words), settings_.least);
  TokenizerSpec spec;
  spec.model = "bpe";
  spec.split = settings_.split;
  const auto spelled = [&](Id id) {
    std::string out;
    for (const char byte : merging.bytes(id)) out += character_of_byte(static_cast<uint8_t>(byte));
    return out;
  };
  for (Id byte = 0; byte < 256; ++byte) spec.tokens.push_back(spelled(byte));
  const int64_t wanted = settings_.vocabulary - 256 - static_cast<int64_t>(settings_.specials.size());
  while (merging.tokens() < 256 + wanted) {
    const auto pair = merging.next();
    if (!pair) break;
    spec.merges.emplace_back(spelled(pair->first), spelled(pair->second));
    if (spec.merges.size() % 256 == 0 && step && !step(merging.tokens() - 256, wanted)) break;
  }
  for (Id id = 256; id < merging.tokens(); ++id) spec.tokens.push_back(spelled(id));
  spec.kinds.assign(spec.tokens.size(), TokenKind::normal);
  for (const auto& special : settings_.specials) {
    spec.tokens.push_back(special);
    spec.kinds.push_back(TokenKind::control);
  }
  if (!settings_.specials.empty()) spec.bos = spec.eos = static_cast<Id>(spec.tokens.size() - settings_.specials.size());
  return spec;
}

}  // namespace longview
