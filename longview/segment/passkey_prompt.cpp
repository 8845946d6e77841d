// One prompt of a passkey test: introduction, filler with needles, question, answer.
#include <algorithm>
#include <cmath>

#include "longview/base/check.h"
#include "longview/segment/passkey.h"

namespace longview {
namespace {

std::vector<Id> filler(const PasskeyTask& task, const Tokenizer& tokenizer, int64_t length, Random& random) {
  if (task.book.empty()) {
    const auto sentences = tokenizer.encode(kLoopFiller);
    std::vector<Id> out(static_cast<size_t>(length));
    for (size_t i = 0; i < out.size(); ++i) out[i] = sentences[i % sentences.size()];
    return out;
  }
  const auto size = static_cast<int64_t>(task.book.size());
  LV_CHECK(size >= length, "[passkey] the book has {} tokens; {} are needed", size, length);
  LV_CHECK(task.book_at <= size - length, "[passkey] a piece of {} tokens cannot begin at token {} of a book of {}", length,
           task.book_at, size);
  const int64_t begin = task.book_at < 0 ? random.below(size - length + 1) : task.book_at;
  return {task.book.begin() + begin, task.book.begin() + begin + length};
}

}  // namespace

PasskeyPrompt passkey_prompt(const PasskeyTask& task, const Tokenizer& tokenizer) {
  LV_CHECK(task.depth >= 0 && task.depth <= 1, "[passkey] depth must be from 0 to 1; got {}", task.depth);
  LV_CHECK(task.needles >= 1 && task.needles <= 64, "[passkey] there must be 1 to 64 needles; got {}", task.needles);
  Random random(task.seed);
  const Grammar& words = grammar(task.wordings);
  const bool is_named = task.needles > 1 || task.wordings == "table";
  std::vector<Blanks> blanks;
  std::vector<Wording> needles;  // the first is asked for
  int64_t used = 0;
  const std::string thing = words.thing(random);
  while (static_cast<int64_t>(needles.size()) < task.needles) {
    const Blanks one{thing, is_named ? random_name(random) : "", random_key(task.keys, random)};
    if (is_named && std::any_of(blanks.begin(), blanks.end(), [&](const Blanks& other) { return other.name == one.name; }))
      continue;
    blanks.push_back(one);
    needles.push_back(worded(words.statement(random), one, tokenizer));
    used += static_cast<int64_t>(needles.back().ids.size());
  }
  const Wording question = worded(words.question(random), blanks[0], tokenizer);
  PasskeyPrompt out{tokenizer.encode(kIntroduction), 0, 0, 0, 0, blanks[0].key};
  const auto head = static_cast<int64_t>(out.ids.size());
  used += head + static_cast<int64_t>(question.ids.size());
  LV_CHECK(task.length >= used, "[passkey] a prompt with {} needles takes at least {} tokens; got a length of {}", task.needles,
           used, task.length);
  const int64_t room = task.length - used;
  LV_CHECK(task.needle_at < 0 || (task.needle_at >= head && task.needle_at - head <= room),
           "[passkey] the needle can begin at token {} to {}; got {}", head, head + room, task.needle_at);
  const auto text = filler(task, tokenizer, room, random);
  // Where in the filler each needle stands; the others make way for the one that is asked for.
  struct Place {
    int64_t at;
    size_t needle;
  };
  std::vector<Place> places;
  for (size_t other = 1; other < needles.size(); ++other) places.push_back({random.below(room + 1), other});
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.at < b.at; });
  int64_t asked = task.needle_at < 0 ? std::llround(task.depth * static_cast<double>(room)) : task.needle_at - head;
  size_t before = 0;  // needles that stand before the one that is asked for
  if (task.needle_at < 0) {
    before = static_cast<size_t>(std::count_if(places.begin(), places.end(), [&](const Place& place) { return place.at < asked; }));
  } else {
    for (; before < places.size() && places[before].at + static_cast<int64_t>(needles[places[before].needle].ids.size()) <= asked;
         ++before)
      asked -= static_cast<int64_t>(needles[places[before].needle].ids.size());
    for (size_t later = before; later < places.size(); ++later) places[later].at = std::max(places[later].at, asked);
  }
  places.insert(places.begin() + static_cast<int64_t>(before), {asked, 0});
  int64_t copied = 0;
  for (const Place& place : places) {
    out.ids.insert(out.ids.end(), text.begin() + copied, text.begin() + place.at);
    copied = place.at;
    if (place.needle == 0) out.needle_begin = static_cast<int64_t>(out.ids.size());
    out.ids.insert(out.ids.end(), needles[place.needle].ids.begin(), needles[place.needle].ids.end());
    if (place.needle == 0) out.needle_end = static_cast<int64_t>(out.ids.size());
  }
  out.ids.insert(out.ids.end(), text.begin() + copied, text.end());
  out.answer_begin = static_cast<int64_t>(out.ids.size()) + question.keys.back().first;
  out.answer_end = static_cast<int64_t>(out.ids.size()) + question.keys.back().second;
  out.ids.insert(out.ids.end(), question.ids.begin(), question.ids.end());
  return out;
}

}  // namespace longview
