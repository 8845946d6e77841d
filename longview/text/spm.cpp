// SentencePiece's BPE with byte fallback (Kudo and Richardson, arXiv:1808.06226): a space is U+2581, characters are merged by score
// (as SentencePiece and llama.cpp do) or by rank of the merge (as Hugging Face does), and what no token covers becomes its bytes.
//
// SentencePiece merges a whole text at once. A merge never crosses a place where no token of the vocabulary could lie across, and
// that is nearly every space: there the text is cut, so memory does not grow with it and words met before come from a cache.
#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <unordered_map>

#include "longview/base/check.h"
#include "longview/text/merge.h"
#include "longview/text/pool.h"
#include "longview/text/sections.h"
#include "longview/text/utf8.h"

namespace longview {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581

struct Work {
  Merger merger;
  PieceCache cache;
  std::vector<Id> ids;
  std::string piece;
};

class SentencePieceTokenizer : public SectionTokenizer {
 public:
  explicit SentencePieceTokenizer(TokenizerSpec given) : SectionTokenizer(std::move(given)), by_score_(!spec().scores.empty()) {
    for (Id id = 0; id < size(); ++id)
      if (is_plain(id) || (kind(id) == TokenKind::user && !by_score_)) ids_.try_emplace(token(id), id);
    for (Id id = 0; id < size(); ++id) note_crossings(token(id));
    read_bytes();
    by_score_ ? rank_scores() : read_merges();
  }

 protected:
  void section(std::string_view text, bool first, IdRuns& out) const override;
  std::string plain_bytes(Id id) const override;

 private:
  void note_crossings(std::string_view spelled);
  void read_bytes();
  void read_merges();
  void rank_scores();
  bool cut_before_space(std::string_view before, bool after_space) const;
  bool has_prefix(std::string_view text, bool first) const;
  void piece(Work& work, IdRuns& out) const;
  void merge(Work& work) const;

  const bool by_score_;
  std::unordered_map<std::string_view, Id> ids_;
  std::array<Id, 256> bytes_{};
  std::bitset<256> crossing_;                   // last bytes of the characters that stand before U+2581 inside some token
  std::unordered_map<uint64_t, Merge> merges_;  // by rank: pairs of ids
  std::vector<uint32_t> ranks_;                 // by score: the rank of each token
  size_t longest_ = 0;                          // bytes of the longest token
  Pool<Work> pool_;
};

void SentencePieceTokenizer::note_crossings(std::string_view spelled) {
  longest_ = std::max(longest_, spelled.size());
  for (size_t at = spelled.find(kSpace); at != std::string_view::npos; at = spelled.find(kSpace, at + kSpace.size()))
    if (at > 0 && !spelled.substr(0, at).ends_with(kSpace)) crossing_.set(static_cast<uint8_t>(spelled[at - 1]));
}

void SentencePieceTokenizer::read_bytes() {
  std::unordered_map<std::string_view, Id> named;
  for (Id id = 0; id < size(); ++id)
    if (kind(id) == TokenKind::byte) named.try_emplace(token(id), id);
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto found = named.find(fmt::format("<0x{:02X}>", byte));
    LV_CHECK(found != named.end(),
             "[tokenizer] the vocabulary lacks the byte <0x{:02X}>; only vocabularies with byte fallback are known", byte);
    bytes_[byte] = found->second;
  }
}

void SentencePieceTokenizer::read_merges() {
  const auto id_of = [&](const std::string& spelled) {
    const auto found = ids_.find(spelled);
    return found == ids_.end() ? -1 : found->second;
  };
  std::unordered_map<std::string_view, Id> all;
  for (Id id = 0; id < size(); ++id) all.try_emplace(token(id), id);
  for (size_t line = 0; line < spec().merges.size(); ++line) {
    const auto& [left, right] = spec().merges[line];
    for (const std::string& spelled : {left, right, left + right})
      LV_CHECK(all.contains(spelled), "[tokenizer] merge {} needs '{}', which is not in the vocabulary", line, spelled);
    const Id one = id_of(left), other = id_of(right), joined = id_of(left + right);
    if (one >= 0 && other >= 0 && joined >= 0) merges_[pair_key(one, other)] = {static_cast<uint32_t>(line), joined};
  }
}

// Equal scores share a rank, so that of them the leftmost pair is merged first.
void SentencePieceTokenizer::rank_scores() {
  const auto& scores = spec().scores;
  LV_CHECK(scores.size() == spec().tokens.size(), "[tokenizer] {} tokens, but scores of {}", spec().tokens.size(), scores.size());
  LV_CHECK(std::none_of(scores.begin(), scores.end(), [](float score) { return std::isnan(score); }),
           "[tokenizer] a score is not a number");
  std::vector<float> distinct = scores;
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (const float score : scores)
    ranks_.push_back(
        static_cast<uint32_t>(std::lower_bound(distinct.begin(), distinct.end(), score, std::greater<>()) - distinct.begin()));
}

bool SentencePieceTokenizer::has_prefix(std::string_view text, bool first) const {
  if (!spec().add_space_prefix) return false;
  if (spec().space_prefix == SpacePrefix::each) return true;
  const bool has_space = text.starts_with(' ') || text.starts_with(kSpace);
  return !has_space && (first || spec().space_prefix == SpacePrefix::each_unless_space);
}

// Whether the text may be cut between `before`, what the piece holds so far, and a space.
bool SentencePieceTokenizer::cut_before_space(std::string_view before, bool after_space) const {
  if (before.empty()) return false;
  if (spec().split == "metaspace") return true;
  return !after_space && !crossing_.test(static_cast<uint8_t>(before.back()));
}

void SentencePieceTokenizer::section(std::string_view text, bool first, IdRuns& out) const {
  const auto work = pool_.take();
  work->piece.clear();
  if (has_prefix(text, first)) work->piece = kSpace;
  for (size_t at = 0; at < text.size();) {
    const bool written = text.compare(at, kSpace.size(), kSpace) == 0;
    if (text[at] != ' ' && !written) {
      work->piece += text[at++];
      continue;
    }
    if (cut_before_space(work->piece, work->piece.ends_with(kSpace))) {
      piece(*work, out);
      work->piece.clear();
    }
    work->piece += kSpace;
    at += written ? kSpace.size() : 1;
  }
  if (!work->piece.empty()) piece(*work, out);
}

void SentencePieceTokenizer::piece(Work& work, IdRuns& out) const {
  if (const auto known = work.cache.find(work.piece)) return out.add(*known);
  work.ids.clear();
  merge(work);
  work.cache.keep(work.piece, work.ids);
  out.add(work.ids);
}

void SentencePieceTokenizer::merge(Work& work) const {
  const std::string_view text = work.piece;
  work.merger.clear();
  const auto add_bytes = [&](std::string_view bytes, auto&& add) {
    for (const char byte : bytes) add(bytes_[static_cast<uint8_t>(byte)]);
  };
  for (size_t at = 0, length = 0; at < text.size(); at += length) {
    length = std::max<size_t>(utf8_length(text.substr(at)), 1);
    const auto found = ids_.find(text.substr(at, length));
    if (found != ids_.end() || by_score_) work.merger.add(found == ids_.end() ? -1 : found->second, length);
    else add_bytes(text.substr(at, length), [&](Id id) { work.merger.add(id, 1); });
  }
  if (by_score_) {
    work.merger.merge([&](const Merger::Symbol& left, const Merger::Symbol& right) -> std::optional<Merge> {
      const size_t size = size_t{left.size} + right.size;
      const auto found = size <= longest_ ? ids_.find(text.substr(left.begin, size)) : ids_.end();
      return found == ids_.end() ? std::nullopt : std::optional(Merge{ranks_[static_cast<size_t>(found->second)], found->second});
    });
  } else {
    work.merger.merge([&](const Merger::Symbol& left, const Merger::Symbol& right) -> std::optional<Merge> {
      const auto found = merges_.find(pair_key(left.id, right.id));
      return found == merges_.end() ? std::nullopt : std::optional(found->second);
    });
  }
  work.merger.each([&](const Merger::Symbol& symbol) {
    if (symbol.id >= 0) work.ids.push_back(symbol.id);
    else add_bytes(text.substr(symbol.begin, symbol.size), [&](Id id) { work.ids.push_back(id); });
  });
}

std::string SentencePieceTokenizer::plain_bytes(Id id) const {
  if (kind(id) == TokenKind::byte) {
    const auto byte = std::find(bytes_.begin(), bytes_.end(), id);
    return byte == bytes_.end() ? token(id) : std::string(1, static_cast<char>(byte - bytes_.begin()));
  }
  std::string out = token(id);
  for (size_t at = out.find(kSpace); at != std::string::npos; at = out.find(kSpace, at + 1)) out.replace(at, kSpace.size(), " ");
  return out;
}

}  // namespace

std::unique_ptr<Tokenizer> make_sentence_piece_tokenizer(TokenizerSpec spec) {
  LV_CHECK(spec.split.empty() || spec.split == "metaspace", "[tokenizer] the split of spm is '' or metaspace; got '{}'",
           spec.split);
  LV_CHECK(!spec.nfc, "[tokenizer] spm with NFC is not known");
  LV_CHECK(spec.scores.empty() || spec.merges.empty(), "[tokenizer] spm has scores or merges, not both");
  return std::make_unique<SentencePieceTokenizer>(std::move(spec));
}

}  // namespace longview
