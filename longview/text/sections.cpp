#include "longview/text/sections.h"

#include <algorithm>

#include "longview/base/check.h"
#include "longview/text/utf8.h"

namespace longview {
namespace {

bool is_special(TokenKind kind) { return kind == TokenKind::control || kind == TokenKind::user || kind == TokenKind::unknown; }

// The white space that ends `text`, in bytes.
size_t space_at_end(std::string_view text) {
  size_t at = text.size();
  while (at > 0) {
    size_t begin = at - 1;
    while (begin > 0 && at - begin < 4 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
    const size_t length = utf8_length(text.substr(begin, at - begin));
    if (length != at - begin || !is_white_space(utf8_decode(text.substr(begin), length))) break;
    at = begin;
  }
  return text.size() - at;
}

size_t space_at_start(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = utf8_length(text.substr(at));
    if (length == 0 || !is_white_space(utf8_decode(text.substr(at), length))) break;
    at += length;
  }
  return at;
}

TokenizerSpec checked(TokenizerSpec spec) {
  const auto size = static_cast<Id>(spec.tokens.size());
  LV_CHECK(!spec.tokens.empty() && spec.tokens.size() <= (1u << 24), "[tokenizer] a vocabulary has 1 to 16,777,216 tokens; got {}",
           spec.tokens.size());
  if (spec.kinds.empty()) spec.kinds.assign(spec.tokens.size(), TokenKind::normal);
  LV_CHECK(spec.kinds.size() == spec.tokens.size(), "[tokenizer] {} tokens, but kinds of {}", spec.tokens.size(),
           spec.kinds.size());
  const auto check_id = [&](const char* what, Id id) {
    LV_CHECK(id >= -1 && id < size, "[tokenizer] {} is token {}, but the vocabulary ends at {}", what, id, size - 1);
  };
  check_id("bos", spec.bos);
  check_id("eos", spec.eos);
  check_id("unk", spec.unk);
  check_id("pad", spec.pad);
  for (const Id id : spec.stops) check_id("a stop", id);
  for (const SpaceTaker& taker : spec.space_takers) check_id("a token that takes white space", taker.id);
  if (spec.stops.empty()) spec.stops = find_stops(spec);
  return spec;
}

// Sections of text that several parts may make up, joined only where they do.
class PendingSection {
 public:
  void add(std::string_view text) {
    if (text.empty()) return;
    if (one_.empty() && joined_.empty()) {
      one_ = text;
      return;
    }
    joined_ += one_;
    joined_ += text;
    one_ = {};
  }
  std::string_view text() const { return joined_.empty() ? one_ : joined_; }
  void clear() {
    one_ = {};
    joined_.clear();
  }

 private:
  std::string_view one_;
  std::string joined_;
};

}  // namespace

SpecialFinder::SpecialFinder(const TokenizerSpec& spec) {
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& token = spec.tokens[id];
    if (token.empty() || !is_special(spec.kinds[id])) continue;
    ids_.try_emplace(token, static_cast<Id>(id));
    auto& lengths = lengths_[static_cast<uint8_t>(token.front())];
    if (std::find(lengths.begin(), lengths.end(), token.size()) == lengths.end()) lengths.push_back(token.size());
  }
  for (auto& lengths : lengths_) std::sort(lengths.rbegin(), lengths.rend());
  for (const SpaceTaker& taker : spec.space_takers) space_takers_[taker.id] = taker;
}

SpecialFinder::Found SpecialFinder::next(std::string_view text, size_t from, size_t floor) const {
  for (size_t at = from; at < text.size() && !ids_.empty(); ++at) {
    for (const size_t length : lengths_[static_cast<uint8_t>(text[at])]) {
      const auto found = length <= text.size() - at ? ids_.find(text.substr(at, length)) : ids_.end();
      if (found == ids_.end()) continue;
      Found out{found->second, at, at + length, at + length};
      const auto taker = space_takers_.find(out.id);
      if (taker != space_takers_.end()) {
        if (taker->second.left) out.begin = at <= floor ? at : at - space_at_end(text.substr(floor, at - floor));
        if (taker->second.right) out.end += space_at_start(text.substr(out.end));
      }
      return out;
    }
  }
  return {};
}

SectionTokenizer::SectionTokenizer(TokenizerSpec spec) : spec_(checked(std::move(spec))), finder_(spec_) {}

void SectionTokenizer::encode(std::span<const TextPart> parts, const std::function<void(std::span<const Id>)>& take) const {
  IdRuns out(take);
  PendingSection pending;
  bool first = true;
  const auto close_section = [&] {
    if (!pending.text().empty()) section(pending.text(), first, out);
    pending.clear();
  };
  for (const TextPart& part : parts) {
    size_t done = 0;
    size_t searched = 0;
    while (part.specials == Specials::parse) {
      const auto found = finder_.next(part.text, searched, done);
      if (found.id < 0) break;
      // What a token before it ate may reach into this one; then this one only takes the rest, as Hugging Face has it.
      pending.add(part.text.substr(done, std::max(found.begin, done) - done));
      close_section();
      first = false;
      out.add(found.id);
      done = std::max(done, found.end);
      searched = found.match_end;
    }
    pending.add(part.text.substr(done));
  }
  close_section();
  out.flush();
}

bool SectionTokenizer::is_plain(Id id) const { return kind(id) == TokenKind::normal || kind(id) == TokenKind::unused; }

std::string SectionTokenizer::bytes(Id id, bool with_control) const {
  LV_CHECK(id >= 0 && id < size(), "[tokenizer] ids are 0 to {}; got {}", size() - 1, id);
  if (kind(id) == TokenKind::user) return token(id);
  if (is_special(kind(id))) return with_control ? token(id) : "";
  return plain_bytes(id);
}

}  // namespace longview
