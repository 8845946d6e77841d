// The sources of training batches, one line each, sorted by name; and how several are written as one setting.
#include <algorithm>
#include <array>

#include "longview/segment/sources.h"

namespace longview {
namespace {

// clang-format off
constexpr std::array kSources{
    SourceEntry{"associative", "arXiv:2312.04927", "pairs of tokens, then their keys again: multi-query associative recall", "", make_associative},
    SourceEntry{"copy", "", "random tokens, then the same again", "", make_copy},
    SourceEntry{"loops", "", "a snippet of text again and again", "", make_loops},
    SourceEntry{"passkey", "arXiv:2305.16300", "keys hidden in filler and asked for, with segments that count as many", "", make_passkey},
    SourceEntry{"recall", "", "many named keys in a text and many questions", "", make_recall},
    SourceEntry{"text", "", "running text: random pieces, packed, or lanes that go on", "", make_text},
};
// clang-format on

std::vector<std::string> split_at(const std::string& text, const std::string& mark) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(mark, at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + mark.size();
  }
  return out;
}

std::string trimmed(const std::string& text) {
  const size_t from = text.find_first_not_of(' '), to = text.find_last_not_of(' ');
  return from == std::string::npos ? "" : text.substr(from, to - from + 1);
}

MixturePart part_of(std::string text, const SourceNeeds& needs) {
  MixturePart out;
  const size_t star = text.find('*');
  if (star != std::string::npos && star < text.find(':')) {
    out.weight = to_real("source", "the weight before '*'", trimmed(text.substr(0, star)));
    LV_CHECK(out.weight > 0, "[source] a weight must be above 0; got {}", out.weight);
    text = text.substr(star + 1);
  }
  const Setting setting = parse_setting(trimmed(text));
  out.source = find(sources(), "source", setting.name).make(setting, needs);
  return out;
}

}  // namespace

std::span<const SourceEntry> sources() { return kSources; }

std::unique_ptr<Source> make_source(std::string_view setting, const SourceNeeds& needs) {
  LV_CHECK(needs.tokenizer != nullptr, "[source] a source needs a tokenizer");
  const auto steps = split_at(std::string(setting), " | ");
  LV_CHECK(steps.size() <= 2, "[source] one '|' at most, before pose or random; got '{}'", setting);
  const auto texts = split_at(steps.front(), " + ");
  std::vector<MixturePart> parts;
  for (size_t i = 0; i < texts.size(); ++i) {
    SourceNeeds own = needs;
    if (i > 0) own.seed = Random(needs.seed).fork(i).bits();  // two parts of one kind must not draw alike
    parts.push_back(part_of(texts[i], own));
  }
  auto out = parts.size() == 1 ? std::move(parts.front().source) : make_mixture(std::move(parts));
  if (steps.size() == 1) return out;
  return make_positions(parse_setting(trimmed(steps[1])), std::move(out), Random(needs.seed).fork(0).bits());
}

}  // namespace longview
