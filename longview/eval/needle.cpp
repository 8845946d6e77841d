// Prompts with a number to find in a book, and what a model says.
#include "longview/eval/needle.h"

#include <algorithm>

#include "longview/kernels/elementwise.h"

namespace longview {
namespace {

constexpr const char* kNeedle = "\nThe secret number of the lighthouse keeper is {0}.\n";
constexpr const char* kQuestion =
    "\nQuestion: What is the secret number of the lighthouse keeper?\nAnswer: The secret number of the lighthouse keeper is";

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string first_number(const std::string& text) {
  const auto begin = std::find_if(text.begin(), text.end(), is_digit);
  return {begin, std::find_if_not(begin, text.end(), is_digit)};
}

/// Of the key's tokens: how many were the likeliest, and the loss.
void score(const Transformer& model, const Method& method, std::span<const Id> key, Session session, KeyAnswer& out) {
  std::vector<Tensor> hidden{session.hidden};  // [1,E] each
  const std::vector<int64_t> ids(key.begin(), key.end());
  const Tensor targets = at::tensor(ids, at::kLong).to(model.device());  // [n]
  if (key.size() > 1)
    hidden.push_back(
        advance(model, method, {targets.cpu().narrow(0, 0, targets.numel() - 1).unsqueeze(0), session.state.seen()}, session));
  const Tensor logits = model.logits(at::cat(hidden));  // [n,V]
  out.tokens = targets.numel();
  out.right = logits.argmax(-1).eq(targets).sum().item<int64_t>();
  out.nll = kernels::nll(logits, targets).mean().item<double>();
}

}  // namespace

PasskeyPrompt needle_prompt(const NeedleTask& task, const Tokenizer& tokenizer) {
  LV_CHECK(task.depth >= 0 && task.depth <= 1, "[eval] depth must be from 0 to 1; got {}", task.depth);
  PasskeyPrompt out;
  out.key = std::to_string(10000 + mixed(task.seed) % 90000);
  const auto question = tokenizer.encode(kQuestion, Specials::plain);
  const auto needle = tokenizer.encode(fmt::format(fmt::runtime(kNeedle), out.key), Specials::plain);
  const auto answer = tokenizer.encode(" " + out.key, Specials::plain);
  const int64_t fixed = static_cast<int64_t>(needle.size() + question.size()), room = task.length - fixed;
  const auto size = static_cast<int64_t>(task.book.size());
  LV_CHECK(room >= 0, "[eval] a needle prompt takes at least {} tokens; got a length of {}", fixed, task.length);
  LV_CHECK(size >= room, "[eval] the book has {} tokens; {} are needed", size, room);
  const auto begin = task.book.begin() + static_cast<int64_t>(mixed(task.seed + 1) % static_cast<uint64_t>(size - room + 1));
  const auto split = static_cast<int64_t>(std::llround(task.depth * static_cast<double>(room)));
  out.ids.assign(begin, begin + split);
  out.needle_begin = split, out.needle_end = split + static_cast<int64_t>(needle.size());
  out.ids.insert(out.ids.end(), needle.begin(), needle.end());
  out.ids.insert(out.ids.end(), begin + split, begin + room);
  out.ids.insert(out.ids.end(), question.begin(), question.end());
  out.answer_begin = task.length, out.answer_end = task.length + static_cast<int64_t>(answer.size());
  out.ids.insert(out.ids.end(), answer.begin(), answer.end());
  return out;
}

KeyAnswer answer_of(const Transformer& model, const Method& method, const Tokenizer& tokenizer, const PasskeyPrompt& prompt,
                    Session session) {
  constexpr int64_t kMore = 5;  // tokens said beyond the key's: "is: 71349"
  KeyAnswer out;
  const std::span<const Id> key(prompt.ids.data() + prompt.answer_begin,
                                static_cast<size_t>(prompt.answer_end - prompt.answer_begin));
  score(model, method, key, session, out);
  out.is_exact = out.is_found = out.right == out.tokens;
  if (out.is_exact) {
    out.said = prompt.key;
    return out;
  }
  for (int64_t n = 0; n < out.tokens + kMore; ++n) {
    const Id id = static_cast<Id>(next_logits(model, session).argmax().item<int64_t>());
    out.said += tokenizer.bytes(id);
    feed(model, method, std::span(&id, 1), 1, session);
  }
  const bool is_number = std::all_of(prompt.key.begin(), prompt.key.end(), is_digit);
  out.is_found = is_number ? first_number(out.said) == prompt.key : out.said.find(prompt.key) != std::string::npos;
  return out;
}

Interval wilson(int64_t found, int64_t tried) {
  if (tried == 0) return {};
  constexpr double z = 1.959964;
  const auto n = static_cast<double>(tried);
  const double p = static_cast<double>(found) / n, middle = p + z * z / (2 * n);
  const double width = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n)), whole = 1 + z * z / n;
  return {std::max(0.0, (middle - width) / whole), std::min(1.0, (middle + width) / whole)};
}

}  // namespace longview
