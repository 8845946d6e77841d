// Prompts that hide a number, answers, intervals, and the two columns of the repeated text.
#include "longview/eval/needle.h"

#include "longview/eval/repeat.h"
#include "longview/infer/reader.h"
#include "tests/infer/tiny.h"

namespace longview {
namespace {

using testing::some_ids;
using testing::tiny_model;

std::unique_ptr<Tokenizer> byte_tokenizer() {
  TokenizerSpec spec;
  spec.model = "byte";
  return make_tokenizer(spec);
}

std::string text_of(const Tokenizer& tokenizer, std::span<const Id> ids) {
  std::string out;
  for (const Id id : ids) out += tokenizer.bytes(id);
  return out;
}

TEST(NeedlePrompt, HasTheLengthAndTheNumberWhereTheyWereAskedFor) {
  const auto tokenizer = byte_tokenizer();
  const std::vector<Id> book = tokenizer->encode(std::string(5000, 'x'));
  for (const double depth : {0.0, 0.5, 1.0}) {
    const auto prompt = needle_prompt({2000, depth, 7, book}, *tokenizer);
    EXPECT_EQ(prompt.answer_begin, 2000);
    EXPECT_EQ(prompt.answer_end, static_cast<int64_t>(prompt.ids.size()));
    const std::string text = text_of(*tokenizer, prompt.ids);
    EXPECT_EQ(prompt.key.size(), 5U);
    EXPECT_EQ(text.substr(2000), " " + prompt.key);
    EXPECT_NEAR(static_cast<double>(text.find(prompt.key)) / 2000, depth, 0.2);
    EXPECT_EQ(needle_prompt({2000, depth, 7, book}, *tokenizer).ids, prompt.ids) << "the seed decides";
    EXPECT_NE(needle_prompt({2000, depth, 8, book}, *tokenizer).key, prompt.key);
  }
}

TEST(NeedlePrompt, ThatCannotBeIsRefused) {
  const auto tokenizer = byte_tokenizer();
  const std::vector<Id> book(3000, 1), leaflet(100, 1);
  EXPECT_THROW(needle_prompt({10, 0.5, 0, book}, *tokenizer), Error);
  EXPECT_THROW(needle_prompt({2000, 0.5, 0, leaflet}, *tokenizer), Error);
  EXPECT_THROW(needle_prompt({2000, 1.5, 0, book}, *tokenizer), Error);
}

TEST(PasskeyPrompt, APieceOfTheBookIsTheSameForEveryKey) {
  const auto tokenizer = byte_tokenizer();
  std::string text;
  for (int n = 0; n < 2000; ++n) text += fmt::format("{} ", n);
  const std::vector<Id> book = tokenizer->encode(text);
  const auto with_seed = [&](uint64_t seed, double depth) {
    return passkey_prompt({.length = 2000, .depth = depth, .book = book, .book_at = 700, .seed = seed}, *tokenizer);
  };
  const auto a = with_seed(1, 0.5), b = with_seed(2, 1);
  EXPECT_NE(a.key, b.key);
  EXPECT_TRUE(std::equal(a.ids.begin(), a.ids.begin() + a.needle_begin, b.ids.begin()));
  EXPECT_THROW(passkey_prompt({.length = 2000, .book = book, .book_at = static_cast<int64_t>(book.size()) - 100}, *tokenizer),
               Error);
}

TEST(AnswerOf, CountsTheLikeliestTokensAndReadsWhatIsSaid) {
  const auto tokenizer = byte_tokenizer();
  const auto& model = tiny_model();
  const Method method = model.method("rope", "full");
  // What the model says by itself is the key: all of it is right. Of another key nothing must be.
  PasskeyPrompt prompt;
  prompt.ids = some_ids(60);
  Session session;
  feed(model, method, prompt.ids, 60, session);
  Session speaking = session;
  prompt.answer_begin = 60, prompt.answer_end = 64;
  for (int n = 0; n < 4; ++n) {
    const Id id = static_cast<Id>(next_logits(model, speaking).argmax().item<int64_t>());
    prompt.ids.push_back(id);
    feed(model, method, std::span(&id, 1), 1, speaking);
  }
  const KeyAnswer right = answer_of(model, method, *tokenizer, prompt, session);
  EXPECT_TRUE(right.is_exact && right.is_found);
  EXPECT_EQ(right.right, 4);
  EXPECT_EQ(right.tokens, 4);
  prompt.ids[60] = prompt.ids[60] == 9 ? 8 : 9;
  prompt.key = "never said";
  const KeyAnswer wrong = answer_of(model, method, *tokenizer, prompt, session);
  EXPECT_FALSE(wrong.is_exact || wrong.is_found);
  EXPECT_LE(wrong.right, 3);
  EXPECT_GT(wrong.nll, right.nll);
  EXPECT_FALSE(wrong.said.empty());
}

TEST(Wilson, IsThePublishedInterval) {
  EXPECT_NEAR(wilson(15, 20).low, 0.5313, 1e-4);
  EXPECT_NEAR(wilson(15, 20).high, 0.8881, 1e-4);
  EXPECT_NEAR(wilson(20, 20).low, 0.8389, 1e-4);
  EXPECT_DOUBLE_EQ(wilson(20, 20).high, 1);
  EXPECT_NEAR(wilson(0, 20).high, 0.1611, 1e-4);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(Repeated, BeginsAnewAfterThePeriod) {
  const auto ids = some_ids(50);
  const auto again = repeated(ids, 20, 50);
  ASSERT_EQ(again.size(), 50U);
  for (size_t n = 0; n < 50; ++n) EXPECT_EQ(again[n], ids[n % 20]);
  EXPECT_THROW(repeated(ids, 51, 60), Error);
}

TEST(NextTokenAccuracy, IsThatOfAPlainLoop) {
  const auto ids = some_ids(120);
  const Method method = tiny_model().method("rope", "full");
  const auto out =
      tiny_model().forward({at::tensor(std::vector<int64_t>(ids.begin(), ids.end()), at::kLong).view({1, 120}), 0}, method, {});
  const Tensor best = tiny_model().logits(out.hidden[0]).argmax(-1);  // [T]
  const Tensor log_p = at::log_softmax(tiny_model().logits(out.hidden[0]).to(at::kDouble), -1);
  double first = 0, rest = 0, nll = 0;
  for (int64_t t = 1; t < 120; ++t) {
    (t < 70 ? first : rest) += best[t - 1].item<int64_t>() == ids[static_cast<size_t>(t)] ? 1 : 0;
    if (t >= 70) nll -= log_p[t - 1][ids[static_cast<size_t>(t)]].item<double>();
  }
  for (const int64_t chunk : {7, 64, 120}) {
    const Accuracy ours = next_token_accuracy(tiny_model(), method, ids, 70, chunk);
    EXPECT_DOUBLE_EQ(ours.first, first / 69);
    EXPECT_DOUBLE_EQ(ours.rest, rest / 50);
    EXPECT_NEAR(ours.rest_nll, nll / 50, 1e-5);
  }
}

}  // namespace
}  // namespace longview
