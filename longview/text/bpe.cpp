// Byte-level BPE (GPT-2): a pre-tokenizer cuts the text, and the bytes of each piece are merged by rank. Equal to Hugging Face's
// BPE with a ByteLevel pre-tokenizer, id for id.
#include <unordered_map>

#include "longview/base/check.h"
#include "longview/text/alphabet.h"
#include "longview/text/merge.h"
#include "longview/text/pool.h"
#include "longview/text/sections.h"
#include "longview/text/source.h"
#include "longview/text/split.h"

namespace longview {
namespace {

struct Work {
  SplitMemory split;
  Merger merger;
  PieceCache cache;
  std::vector<Id> ids;
};

class BytePairTokenizer : public SectionTokenizer {
 public:
  explicit BytePairTokenizer(TokenizerSpec given) : SectionTokenizer(std::move(given)), split_(spec().split) {
    std::unordered_map<std::string_view, Id> ids;
    for (Id id = 0; id < size(); ++id)
      if (is_plain(id)) ids.try_emplace(token(id), id);
    for (size_t byte = 0; byte < 256; ++byte) {
      const auto found = ids.find(character_of_byte(static_cast<uint8_t>(byte)));
      bytes_[byte] = found == ids.end() ? -1 : found->second;
    }
    if (spec().ignore_merges) {
      for (const auto& [spelled, id] : ids)
        if (auto bytes = bytes_of_token(spelled)) whole_.try_emplace(std::move(*bytes), id);
    }
    read_merges();
  }

 protected:
  void section(std::string_view text, bool, IdRuns& out) const override {
    if (merges_.empty() && !spec().ignore_merges && !spec().nfc) {  // bytes, wherever they are cut
      for (const char byte : text)
        if (const Id id = bytes_[static_cast<uint8_t>(byte)]; id >= 0) out.add(id);
      return;
    }
    const auto work = pool_.take();
    if (spec().nfc) {
      NfcSource source(text);
      pieces(source, *work, out);
    } else {
      PlainSource source(text);
      pieces(source, *work, out);
    }
  }
  std::string plain_bytes(Id id) const override { return bytes_of_token(token(id)).value_or(token(id)); }

 private:
  // Every merge must name three tokens. One that would make a control token is left out: text must not turn into one.
  void read_merges() {
    std::unordered_map<std::string_view, Id> ids;
    for (Id id = 0; id < size(); ++id) ids.try_emplace(token(id), id);
    const auto id_of = [&](const std::string& spelled, size_t line) {
      const auto found = ids.find(spelled);
      LV_CHECK(found != ids.end(), "[tokenizer] merge {} needs '{}', which is not in the vocabulary", line, spelled);
      return found->second;
    };
    merges_.reserve(spec().merges.size());
    for (size_t line = 0; line < spec().merges.size(); ++line) {
      const auto& [left, right] = spec().merges[line];
      const Id joined = id_of(left + right, line);
      const uint64_t key = pair_key(id_of(left, line), id_of(right, line));
      if (kind(joined) == TokenKind::normal || kind(joined) == TokenKind::user)
        merges_[key] = {static_cast<uint32_t>(line), joined};
    }
  }

  void pieces(TextSource& source, Work& work, IdRuns& out) const {
    Splitter splitter(split_, work.split, source);
    for (auto piece = splitter.next(); !piece.empty(); piece = splitter.next()) {
      if (const auto known = work.cache.find(piece)) {
        out.add(*known);
        continue;
      }
      merge(piece, work);
      work.cache.keep(piece, work.ids);
      out.add(work.ids);
    }
  }

  void merge(std::string_view piece, Work& work) const {
    work.ids.clear();
    if (spec().ignore_merges) {
      const auto found = whole_.find(std::string(piece));
      if (found != whole_.end()) return work.ids.push_back(found->second);
    }
    work.merger.clear();
    for (const char byte : piece)
      if (const Id id = bytes_[static_cast<uint8_t>(byte)]; id >= 0) work.merger.add(id, 1);
    work.merger.merge([&](const Merger::Symbol& left, const Merger::Symbol& right) -> std::optional<Merge> {
      const auto found = merges_.find(pair_key(left.id, right.id));
      return found == merges_.end() ? std::nullopt : std::optional(found->second);
    });
    work.merger.each([&](const Merger::Symbol& symbol) { work.ids.push_back(symbol.id); });
  }

  Split split_;
  std::array<Id, 256> bytes_{};
  std::unordered_map<std::string, Id> whole_;  // by bytes, only for ignore_merges
  std::unordered_map<uint64_t, Merge> merges_;
  Pool<Work> pool_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_byte_pair_tokenizer(TokenizerSpec spec) {
  LV_CHECK(spec.scores.empty(), "[tokenizer] byte-level BPE has merges, not scores");
  return std::make_unique<BytePairTokenizer>(std::move(spec));
}

}  // namespace longview
