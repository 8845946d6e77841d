// Prompts that hide a number, and the two columns of the repeated text.
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
  for (const std::string kind : {"passkey", "needle"})
    for (const double depth : {0.0, 0.5, 1.0}) {
      const auto prompt = needle_prompt({kind, 2000, depth, 7, book}, *tokenizer);
      EXPECT_EQ(prompt.ids.size(), 2000U);
      const std::string text = text_of(*tokenizer, prompt.ids);
      EXPECT_EQ(prompt.answer.size(), 5U);
      const double at = static_cast<double>(text.find(prompt.answer)) / 2000;
      EXPECT_NEAR(at, depth, 0.2) << kind;
      EXPECT_EQ(needle_prompt({kind, 2000, depth, 7, book}, *tokenizer).ids, prompt.ids) << "the seed decides";
      EXPECT_NE(needle_prompt({kind, 2000, depth, 8, book}, *tokenizer).answer, prompt.answer);
    }
}

TEST(NeedlePrompt, ThatCannotBeIsRefused) {
  const auto tokenizer = byte_tokenizer();
  const std::vector<Id> book(100, 1);
  EXPECT_THROW(needle_prompt({"passkey", 10, 0.5, 0, {}}, *tokenizer), Error);
  EXPECT_THROW(needle_prompt({"needle", 2000, 0.5, 0, book}, *tokenizer), Error);
  EXPECT_THROW(needle_prompt({"passkey", 2000, 1.5, 0, {}}, *tokenizer), Error);
  EXPECT_THROW(needle_prompt({"haystack", 2000, 0.5, 0, {}}, *tokenizer), Error);
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
