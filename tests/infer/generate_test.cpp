// Generation: what is shown and when, what ends it, and what the session has read afterwards.
#include "longview/infer/generate.h"

#include "tests/infer/tiny.h"
#include "tests/kernels/error.h"

namespace longview {
namespace {

using testing::as_tensor;
using testing::same_bits;
using testing::some_ids;
using testing::tiny_checkpoint;
using testing::tiny_model;

/// Gives the pieces of a script one after the other, whatever the ids.
class Script final : public Tokenizer {
 public:
  explicit Script(std::vector<std::string> pieces, std::vector<Id> stops = {}) : pieces_(std::move(pieces)) {
    spec_.stops = std::move(stops);
  }
  const TokenizerSpec& spec() const override { return spec_; }
  int64_t size() const override { return 320; }
  void encode(std::span<const TextPart>, const std::function<void(std::span<const Id>)>&) const override { fail("not needed"); }
  std::string bytes(Id, bool) const override { return next_ < pieces_.size() ? pieces_[next_++] : ""; }

 private:
  TokenizerSpec spec_;
  std::vector<std::string> pieces_;
  mutable size_t next_ = 0;
};

struct Told {
  Generated made;
  std::vector<std::string> shown;
  Session session;
  std::string all() const {
    std::string out;
    for (const auto& part : shown) out += part;
    return out;
  }
};

const std::vector<Id> kPrompt = some_ids(40);

Session prompted(const Method& method) {
  Session session;
  feed(tiny_model(), method, kPrompt, 16, session);
  return session;
}

Told tell(const Tokenizer& tokenizer, const GenerateOptions& options, size_t shows = 1000) {
  const Method method = tiny_model().method("rope", "full");
  Told out{{}, {}, prompted(method)};
  out.made = generate(tiny_model(), method, tokenizer, options, out.session, [&](std::string_view text) {
    EXPECT_LT(out.shown.size(), shows) << "shown after it was told to end";
    EXPECT_FALSE(text.empty());
    out.shown.emplace_back(text);
    return out.shown.size() < shows;
  });
  return out;
}

Told tell(const std::vector<std::string>& pieces, const std::vector<std::string>& stops = {}) {
  return tell(Script(pieces), {.most = static_cast<int64_t>(pieces.size()), .stops = stops, .ignore_end = true, .sample = {}});
}

using Texts = std::vector<std::string>;

TEST(Generate, ShowsEachPieceAsItComes) {
  const Told told = tell(Texts{"In", " the", "", " beginning"});
  EXPECT_EQ(told.shown, (Texts{"In", " the", " beginning"}));
  EXPECT_EQ(told.made.text, "In the beginning");
  EXPECT_EQ(told.made.end, "length");
  EXPECT_EQ(told.made.ids.size(), 4U);
}

TEST(Generate, AStopTextEndsItAndIsNeverShown) {
  for (const Texts& pieces : {Texts{"one STOP two", "x"}, Texts{"one ", "STOP", "x"}, Texts{"one S", "TO", "P", "x"},
                              Texts{"one", " ", "S", "T", "O", "P two", "x"}, Texts{"o", "ne STO", "Pat", "x"}}) {
    const Told told = tell(pieces, {"STOP"});
    EXPECT_EQ(told.made.text, "one ");
    EXPECT_EQ(told.all(), "one ");
    EXPECT_EQ(told.made.end, "stop");
    EXPECT_LT(told.made.ids.size(), pieces.size());
  }
}

TEST(Generate, WhatOnlyBeganLikeAStopIsShown) {
  const Told told = tell(Texts{"a ST", "O", "RM", " S", "S"}, {"STOP"});
  EXPECT_EQ(told.shown, (Texts{"a ", "STORM", " ", "S", "S"}));
  EXPECT_EQ(told.made.text, "a STORM SS");
}

TEST(Generate, AStopMayOverlapItself) {
  EXPECT_EQ(tell(Texts{"a", "a", "a", "b", "c"}, {"aab"}).made.text, "a");
  EXPECT_EQ(tell(Texts{"x", "\n", "\n", "\n", "y"}, {"\n\n\n"}).made.text, "x");
  EXPECT_EQ(tell(Texts{"abab", "abc", "d"}, {"ababc"}).made.text, "ab");
}

TEST(Generate, OfSeveralStopsTheFirstInTheTextCounts) {
  EXPECT_EQ(tell(Texts{"abc", "def"}, {"cd", "bc"}).made.text, "a");
  EXPECT_EQ(tell(Texts{"ab", "cdef"}, {"def", "cd"}).made.text, "ab");
  EXPECT_EQ(tell(Texts{"a<", "end", "> b"}, {"<end>", "<|im_end|>"}).made.text, "a");
}

TEST(Generate, NoCharacterIsShownInHalves) {
  const std::string text = "né 世界 😀!";
  Texts bytes;
  for (const char byte : text) bytes.emplace_back(1, byte);
  const Told told = tell(bytes);
  EXPECT_EQ(told.shown, (Texts{"n", "é", " ", "世", "界", " ", "😀", "!"}));
  EXPECT_EQ(told.made.text, text);
}

TEST(Generate, ACharacterThatIsNeverFinishedIsLeftOut) {
  for (const size_t missing : {1, 2, 3}) {
    const std::string smile = "😀";
    const Told told = tell(Texts{"so ", smile.substr(0, 4 - missing)});
    EXPECT_EQ(told.made.text, "so ");
    EXPECT_EQ(told.all(), "so ");
  }
}

TEST(Generate, BytesThatAreNoTextDoNotHoldTheRestBack) {
  const Told told = tell(Texts{"a\xff", "b", "\x80\x80\x80\x80", "c"});
  EXPECT_EQ(told.all(),
            "a\xff"
            "b\x80\x80\x80\x80"
            "c");
}

TEST(Generate, EndsAtATokenThatEndsATurn) {
  const auto free =
      tell(Script({}), {.most = 12, .stops = {}, .ignore_end = true, .sample = {.temperature = 3, .seed = 5}}).made.ids;
  ASSERT_EQ(free.size(), 12U);
  const auto first = std::find(free.begin(), free.end(), free[6]) - free.begin();
  const GenerateOptions options{.most = 12, .stops = {}, .ignore_end = false, .sample = {.temperature = 3, .seed = 5}};
  const Texts pieces(20, "x");
  const Told told = tell(Script(pieces, {-1, free[6]}), options);
  EXPECT_EQ(told.made.end, "token");
  EXPECT_EQ(told.made.ids, std::vector<Id>(free.begin(), free.begin() + first + 1)) << "the ending token included";
  EXPECT_EQ(told.made.text, std::string(static_cast<size_t>(first), 'x')) << "but not its text";
  GenerateOptions on = options;
  on.ignore_end = true;
  EXPECT_EQ(tell(Script(pieces, {free[6]}), on).made.ids, free);
}

TEST(Generate, NothingIsMadeWhereNothingIsAsked) {
  const Method method = tiny_model().method("rope", "full");
  const Told told = tell(Script({"x"}), {.most = 0, .stops = {}, .ignore_end = false, .sample = {}});
  EXPECT_EQ(told.made.end, "length");
  EXPECT_TRUE(told.made.ids.empty());
  EXPECT_TRUE(told.shown.empty());
  EXPECT_EQ(told.session.state.seen(), 40);
  EXPECT_TRUE(same_bits(told.session.hidden, prompted(method).hidden));
}

TEST(Generate, AReaderThatWantsNoMoreEndsIt) {
  const Told told = tell(Script({"a", "b", "c S", "TOP"}), {.most = 4, .stops = {"STOP"}, .ignore_end = true, .sample = {}}, 3);
  EXPECT_EQ(told.made.end, "interrupted");
  EXPECT_EQ(told.shown, (Texts{"a", "b", "c "}));
  EXPECT_EQ(told.made.ids.size(), 3U);
}

TEST(Generate, IsAForwardPassAfterTheOther) {
  const Method method = tiny_model().method("rope", "full");
  const Told told = tell(Script({}), {.most = 10, .stops = {}, .ignore_end = true, .sample = {}});
  std::vector<Id> text = kPrompt;
  for (const Id id : told.made.ids) {
    const auto out = tiny_model().forward({as_tensor(text), 0}, method, {});
    EXPECT_EQ(tiny_model().logits(out.hidden)[0][-1].argmax().item<int64_t>(), id);
    text.push_back(id);
  }
  EXPECT_EQ(told.session.state.seen(), 49) << "the session has read everything made but the last token";
  EXPECT_EQ(told.session.recent, std::vector<Id>(text.begin(), text.end() - 1));
}

TEST(Generate, ASeedMakesTheSameText) {
  const auto ids = [](int64_t seed) {
    return tell(Script({}), {.most = 16, .stops = {}, .ignore_end = true, .sample = {.temperature = 2, .seed = seed}}).made.ids;
  };
  EXPECT_EQ(ids(1), ids(1));
  EXPECT_NE(ids(1), ids(2));
}

TEST(Generate, WrongOptionsAreRefused) {
  EXPECT_THROW(tell(Script({}), {.most = -2, .stops = {}, .ignore_end = false, .sample = {}}), Error);
  EXPECT_THROW(tell(Script({}), {.most = 1, .stops = {""}, .ignore_end = false, .sample = {}}), Error);
  Session empty;
  EXPECT_THROW(generate(tiny_model(), tiny_model().method("", ""), Script({}), {}, empty, [](std::string_view) { return true; }),
               Error);
}

}  // namespace
}  // namespace longview
