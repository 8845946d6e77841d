// Prompts with a number to find, and whether a model finds it.
#include "longview/eval/needle.h"

#include <algorithm>

#include "longview/kernels/elementwise.h"

namespace longview {
namespace {

struct Wording {
  const char *task, *filler, *needle, *question;
};

constexpr Wording kPasskey{
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I will quiz you about the "
    "important "
    "information there.\n",
    " The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.",
    "\nThe pass key is {0}. Remember it. {0} is the pass key.\n", "\nWhat is the pass key? The pass key is"};
constexpr Wording kNeedle{
    "", "", "\nThe secret number of the lighthouse keeper is {0}.\n",
    "\nQuestion: What is the secret number of the lighthouse keeper?\nAnswer: The secret number of the lighthouse keeper is"};

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

std::string first_number(const std::string& text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto begin = std::find_if(text.begin(), text.end(), is_digit);
  return {begin, std::find_if_not(begin, text.end(), is_digit)};
}

}  // namespace

NeedlePrompt needle_prompt(const NeedleTask& task, const Tokenizer& tokenizer) {
  LV_CHECK(task.kind == "passkey" || task.kind == "needle", "[eval] the task must be passkey or needle; got '{}'", task.kind);
  LV_CHECK(task.depth >= 0 && task.depth <= 1, "[eval] depth must be from 0 to 1; got {}", task.depth);
  const bool in_book = task.kind == "needle";
  const Wording& wording = in_book ? kNeedle : kPasskey;
  NeedlePrompt out;
  out.answer = std::to_string(10000 + mixed(task.seed) % 90000);
  const auto ids_of = [&](const std::string& text) { return tokenizer.encode(text, Specials::plain); };
  const auto head = ids_of(wording.task), question = ids_of(wording.question);
  const auto needle = ids_of(fmt::format(fmt::runtime(wording.needle), out.answer));
  const int64_t fixed = static_cast<int64_t>(head.size() + needle.size() + question.size()), room = task.length - fixed;
  LV_CHECK(room >= 0, "[eval] a {} prompt takes at least {} tokens; got a length of {}", task.kind, fixed, task.length);
  std::vector<Id> filler;
  if (in_book) {
    const auto size = static_cast<int64_t>(task.book.size());
    LV_CHECK(size >= room, "[eval] the book has {} tokens; {} are needed", size, room);
    const auto begin = static_cast<int64_t>(mixed(task.seed + 1) % static_cast<uint64_t>(size - room + 1));
    filler.assign(task.book.begin() + begin, task.book.begin() + begin + room);
  } else {
    const auto sentence = ids_of(wording.filler);
    while (static_cast<int64_t>(filler.size()) < room) filler.insert(filler.end(), sentence.begin(), sentence.end());
    filler.resize(static_cast<size_t>(room));
  }
  const auto split = static_cast<int64_t>(std::llround(task.depth * static_cast<double>(room)));
  out.ids = head;
  out.ids.insert(out.ids.end(), filler.begin(), filler.begin() + split);
  out.ids.insert(out.ids.end(), needle.begin(), needle.end());
  out.ids.insert(out.ids.end(), filler.begin() + split, filler.end());
  out.ids.insert(out.ids.end(), question.begin(), question.end());
  return out;
}

NeedleResult find_needle(const Transformer& model, const Method& method, const Tokenizer& tokenizer, const NeedlePrompt& prompt,
                         int64_t chunk) {
  constexpr int kMost = 10;
  Session session;
  feed(model, method, prompt.ids, chunk, session);
  NeedleResult out;
  Session told = session;  // a fork that reads the right answer
  const auto answer = tokenizer.encode(" " + prompt.answer, Specials::plain);
  for (const Id id : answer) {
    const Tensor logits = next_logits(model, told).unsqueeze(0);  // [1,V]
    out.answer_nll +=
        kernels::nll(logits, at::tensor({int64_t{id}}, at::kLong)).item<double>() / static_cast<double>(answer.size());
    feed(model, method, std::span(&id, 1), 1, told);
  }
  for (int n = 0; n < kMost; ++n) {
    const Id id = static_cast<Id>(next_logits(model, session).argmax().item<int64_t>());
    out.said += tokenizer.bytes(id);
    feed(model, method, std::span(&id, 1), 1, session);
  }
  out.is_found = first_number(out.said) == prompt.answer;
  return out;
}

}  // namespace longview
