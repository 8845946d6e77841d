// Parts are packed as long as they fit; a part that does not fit alone is cut one level finer.
#include "longview/text/passages.h"

#include "longview/base/check.h"

namespace longview {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

/// Where a cut after text[at] ends a part: 0 paragraphs, 1 lines, 2 sentences, 3 words, 4 characters.
bool ends_part(std::string_view text, size_t at, int level) {
  const char next = text[at + 1];
  if (level == 0) return text[at] == '\n' && at > 0 && text[at - 1] == '\n' && next != '\n';
  if (level == 1) return text[at] == '\n';
  const bool is_blank = kBlank.find(next) != std::string_view::npos;
  if (level == 2) return is_blank && std::string_view(".!?\"").find(text[at]) != std::string_view::npos;
  if (level == 3) return is_blank;
  return (static_cast<unsigned char>(next) & 0xC0) != 0x80;
}

std::vector<std::string_view> parts(std::string_view text, int level) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  for (size_t at = 0; at + 1 < text.size(); ++at)
    if (ends_part(text, at, level)) out.push_back(text.substr(begin, at + 1 - begin)), begin = at + 1;
  out.push_back(text.substr(begin));
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(kBlank), to = text.find_last_not_of(kBlank);
  return from == std::string_view::npos ? std::string_view() : text.substr(from, to + 1 - from);
}

struct Packer {
  const Tokenizer& tokenizer;
  int64_t most;
  std::vector<std::string_view> out;
  std::string_view open;  // the passage being filled
  int64_t tokens = 0;     // of it

  int64_t count(std::string_view text) const { return static_cast<int64_t>(tokenizer.encode(text).size()); }

  void close() {
    if (const auto text = trimmed(open); !text.empty()) out.push_back(text);
    open = {}, tokens = 0;
  }

  void add(std::string_view part, int level) {
    const int64_t own = count(part);
    if (own > most && level < 4) {  // paragraphs that fit are not torn, so a passage may end early
      for (const auto finer : parts(part, level + 1)) add(finer, level + 1);
      return;
    }
    if (tokens + own > most) close();
    open = open.empty() ? part : std::string_view(open.data(), open.size() + part.size());
    tokens += own;
  }
};

}  // namespace

std::vector<std::string_view> passages(std::string_view text, const Tokenizer& tokenizer, int64_t most) {
  LV_CHECK(most >= 1, "[passages] a passage must have at least 1 token; got {}", most);
  Packer packer{tokenizer, most, {}, {}, 0};
  for (const auto part : parts(text, 0)) packer.add(part, 0);
  packer.close();
  return packer.out;
}

}  // namespace longview
