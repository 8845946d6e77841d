// What holds for every tokenizer: any bytes come back, long pieces take n log n, special tokens are found where they should.
#include "longview/text/tokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <thread>

#include "longview/base/check.h"
#include "longview/base/cpu.h"
#include "longview/text/alphabet.h"
#include "longview/text/utf8.h"
#include "tests/text/vocabularies.h"

namespace longview {
namespace {

const std::vector<std::string> kNames = {"byte", "gpt2", "smollm", "llama3", "legacy", "metaspace", "words", "llama2c"};

TokenizerSpec model_spec(const std::string& model) {
  TokenizerSpec spec;
  spec.model = model;
  return spec;
}

const Tokenizer& tokenizer(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Tokenizer>> made;
  auto& one = made[name];
  if (!one) one = make_tokenizer(name == "byte" ? model_spec("byte") : golden_spec(name));
  return *one;
}

// What decode gives back of a text in "spm": U+2581 is a space, and a space that stood where the prefix would be is lost.
std::string expected(const std::string& name, std::string text) {
  if (tokenizer(name).spec().model != "spm") return text;
  for (size_t at = text.find("\u2581"); at != std::string::npos; at = text.find("\u2581")) text.replace(at, 3, " ");
  const bool each = tokenizer(name).spec().space_prefix == SpacePrefix::each;
  return !each && text.starts_with(' ') ? text.substr(1) : text;
}

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

RC_GTEST_PROP(TokenizerLaw, AnyBytesComeBack, (const std::string& text)) {
  for (const auto& name : kNames) {
    const auto& one = tokenizer(name);
    RC_ASSERT(one.decode(one.encode(text)) == expected(name, text));
  }
}

// Letters, spaces, halves of characters and special tokens: what random bytes seldom make.
RC_GTEST_PROP(TokenizerLaw, AnyMixtureComesBack, ()) {
  const auto part = rc::gen::element<std::string>("a", "the", " ", "  ", "\n", "\t", "9", "'s", "'S", "é", "\xE2\x96", "\xE2",
                                                  "\x81", "\xFF", "中", "\u0085", "\u3000", "\u2581", "<s>", "<|im_end|>",
                                                  "e\u0301", "\xF0\x9F", "😀", "beginning", std::string(1, '\0'), "<0x41>");
  std::string text;
  for (const auto& one : *rc::gen::container<std::vector<std::string>>(part)) text += one;
  for (const auto& name : kNames) {
    const auto& one = tokenizer(name);
    RC_ASSERT(one.decode(one.encode(text)) == expected(name, text));
    for (const Id id : one.encode(text)) RC_ASSERT(one.spec().kinds[static_cast<size_t>(id)] != TokenKind::control);
  }
}

RC_GTEST_PROP(TokenizerLaw, PartsAreOneText, (const std::string& text)) {
  const size_t cut = *rc::gen::inRange<size_t>(0, text.size() + 1);
  const std::vector<TextPart> parts = {{std::string_view(text).substr(0, cut)}, {std::string_view(text).substr(cut)}};
  for (const auto& name : kNames) RC_ASSERT(tokenizer(name).encode(parts) == tokenizer(name).encode(text));
}

RC_GTEST_PROP(TokenizerLaw, PlainIsParseWhereNothingIsSpecial, (const std::string& text)) {
  for (const auto& name : kNames)
    RC_ASSERT(tokenizer(name).encode(text, Specials::parse) == tokenizer(name).encode(text, Specials::plain));
}

RC_GTEST_PROP(Utf8, EncodesEveryCharacterAsItReadsIt, ()) {
  const auto character = static_cast<char32_t>(*rc::gen::inRange(0, 0x110000));
  std::string text;
  utf8_append(text, character);
  const bool surrogate = character >= 0xD800 && character < 0xE000;
  RC_ASSERT(utf8_length(text) == (surrogate ? 0 : text.size()));
  if (!surrogate) RC_ASSERT(utf8_decode(text, text.size()) == character);
  if (!surrogate) RC_ASSERT(utf8_prefix("abcdefgh" + text + "\xFFz") == 8 + text.size());
  for (size_t size = 1; size < text.size() && !surrogate; ++size)
    RC_ASSERT(utf8_truncated(text.substr(0, size)) && utf8_length(text.substr(0, size)) == 0);
}

TEST(Alphabet, HasADistinctCharacterForEveryByte) {
  for (int byte = 0; byte < 256; ++byte)
    EXPECT_EQ(bytes_of_token(character_of_byte(static_cast<uint8_t>(byte))),
              std::string(1, static_cast<char>(static_cast<uint8_t>(byte))));
  EXPECT_EQ(character_of_byte(' '), "Ġ");
  EXPECT_EQ(character_of_byte('\n'), "Ċ");
  EXPECT_EQ(bytes_of_token("中"), std::nullopt);
}

TEST(Tokenizer, ByteThatIsNotUtf8IsATokenOfItsOwn) {
  EXPECT_EQ(tokenizer("gpt2").encode("the\xFFthe").size(), 3u);
  EXPECT_EQ(tokenizer("gpt2").encode("\xE4\xB8").size(), 2u);
  const auto& legacy = tokenizer("legacy");
  const auto ids = legacy.encode("a\xFF");
  EXPECT_EQ(legacy.spec().tokens[static_cast<size_t>(ids.back())], "<0xFF>");
}

TEST(Tokenizer, WithoutMergesEveryByteIsAToken) {
  TokenizerSpec spec;
  spec.model = "bpe", spec.split = "gpt-2";
  for (int byte = 255; byte >= 0; --byte) spec.tokens.push_back(character_of_byte(static_cast<uint8_t>(byte)));
  const auto tokenizer = make_tokenizer(std::move(spec));
  std::string text = "Übergröße, 12345 \n\t she's";
  for (int i = 0; i < 5000; ++i) text.push_back(static_cast<char>(i * i * 7 + i / 3));  // not UTF-8
  std::vector<Id> expected;
  for (const char byte : text) expected.push_back(255 - static_cast<uint8_t>(byte));
  EXPECT_EQ(tokenizer->encode(text), expected);
  EXPECT_EQ(tokenizer->decode(expected), text);
}

// 400,000 characters without a cut: quadratic merging would take many minutes.
TEST(Tokenizer, LongPiecesTakeNLogN) {
  std::string letters, mixed;
  for (size_t at = 0; at < 400000; ++at) letters += static_cast<char>('a' + (at * at / 7) % 26);
  const std::vector<std::string> texts = {std::string(400000, 'a'),      letters,
                                          std::string(400000, ' '),      std::string(400000, '\n'),
                                          std::string(400000, '.'),      std::string(400000, '\xFF'),
                                          std::string(399999, ' ') + "a"};
  for (const auto& name : {"gpt2", "llama3", "qwen2", "smollm", "legacy", "words", "llama2c"})
    for (const auto& text : texts) {
      size_t count = 0;
      tokenizer(name).encode(text, Specials::parse, [&](std::span<const Id> ids) { count += ids.size(); });
      EXPECT_GT(count, 0u) << name;
    }
}

TEST(Tokenizer, HandsOutRunsAsTheyAreMade) {
  std::string text;
  for (int at = 0; at < 100000; ++at) text += "and the earth ";
  for (const auto& name : kNames) {
    size_t runs = 0, longest = 0;
    std::vector<Id> all;
    tokenizer(name).encode(text, Specials::plain, [&](std::span<const Id> ids) {
      ++runs;
      longest = std::max(longest, ids.size());
      all.insert(all.end(), ids.begin(), ids.end());
    });
    EXPECT_GT(runs, 10u) << name;
    EXPECT_LE(longest, 1u << 16) << name;
    EXPECT_EQ(all, tokenizer(name).encode(text)) << name;
  }
}

TEST(Tokenizer, MemoryDoesNotGrowWithTheText) {
  std::string text;
  for (int at = 0; text.size() < (32u << 20); ++at)
    text += fmt::format("and the earth {} was without form, and void;\n", at * 7919 % 100000);
  for (const auto& name : kNames) {
    const auto& one = tokenizer(name);
    one.encode(std::string_view(text).substr(0, 1 << 20), Specials::plain, [](std::span<const Id>) {});
    const int64_t before = rss_bytes();
    int64_t most = before;
    int runs = 0;
    one.encode(text, Specials::plain, [&](std::span<const Id>) {
      if (++runs % 64 == 0) most = std::max(most, rss_bytes());
    });
    EXPECT_LT(most - before, 2 << 20) << name;
  }
}

// What is split must not depend on where the reader's window (65,536 bytes) happens to end.
TEST(Tokenizer, WindowsLeaveNoTrace) {
  const std::vector<std::string> tails = {"don't  \n\n x", "  \n   \n\n9 12345", "中文。\r\n\r\n ",
                                          "e\u0301\u0323", "\xE2\x96",           "\xFF",
                                          "'S 'ſ",         "...\n\n\n.",         "\u1100\u1161\u11a8"};
  for (const auto& name : {"gpt2", "llama3", "qwen2", "smollm"}) {
    const auto& one = tokenizer(name);
    for (const auto& tail : tails) {
      const auto alone = one.encode("\nx" + tail + " end");
      for (size_t before = 65536 - 14; before <= 65536 + 1; ++before) {
        std::string text;
        while (text.size() + 5 < before) text += "the \n";
        text.resize(before, 'x');
        auto ids = one.encode(text + "\nx" + tail + " end");
        ASSERT_GE(ids.size(), alone.size());
        ids.erase(ids.begin(), ids.end() - static_cast<int64_t>(alone.size()));
        EXPECT_EQ(ids, alone) << name << " " << before
                              << nlohmann::json(tail).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
      }
    }
  }
}

TEST(Tokenizer, NormalisesToNfcWhereAsked) {
  const auto& one = tokenizer("qwen2");
  EXPECT_EQ(one.decode(one.encode("e\u0301 \u212b \u1100\u1161\u11a8 a\u0307\u0323")), "é Å 각 \u1ea1\u0307");
  EXPECT_EQ(one.decode(one.encode("e\xCC e\u0301\xFF\u0301")), "e\xCC é\xFF\u0301");
}

TEST(Tokenizer, FindsTheLeftmostLongestSpecialToken) {
  TokenizerSpec spec = model_spec("byte");
  spec.tokens.resize(260);
  spec.tokens[256] = "<a>";
  spec.tokens[257] = "<a><b>";
  spec.tokens[258] = "b><c>";
  spec.tokens[259] = "[M]";
  spec.space_takers = {{259, true, true}};
  const auto one = make_tokenizer(spec);
  EXPECT_EQ(one->encode("<a><b><c>", Specials::parse), (std::vector<Id>{257, '<', 'c', '>'}));
  EXPECT_EQ(one->encode("<a><c>", Specials::parse), (std::vector<Id>{256, '<', 'c', '>'}));
  EXPECT_EQ(one->encode("<a>", Specials::plain), (std::vector<Id>{'<', 'a', '>'}));
  EXPECT_EQ(one->encode("x \u3000[M]\n[M] y", Specials::parse), (std::vector<Id>{'x', 259, 259, 'y'}));
  EXPECT_EQ(one->encode(std::vector<TextPart>{
                {"<a>", Specials::plain}, {"<a>", Specials::parse}, {"<", Specials::parse}, {"a>", Specials::parse}}),
            (std::vector<Id>{'<', 'a', '>', 256, '<', 'a', '>'}));
  EXPECT_EQ(one->bytes(256), "");
  EXPECT_EQ(one->bytes(256, true), "<a>");
  EXPECT_EQ(one->decode(std::vector<Id>{'x', 256, 'y'}, true), "x<a>y");
}

// A vocabulary whose merges spell a control token must not let a text make it.
TEST(Tokenizer, MergesDoNotMakeControlTokens) {
  auto spec = golden_spec("gpt2");
  const auto id = static_cast<Id>(spec.tokens.size());
  spec.tokens.insert(spec.tokens.end(), {"<#", "<#>"});
  spec.kinds.insert(spec.kinds.end(), {TokenKind::normal, TokenKind::control});
  spec.merges.insert(spec.merges.begin(), {{"<", "#"}, {"<#", ">"}});
  const auto one = make_tokenizer(spec);
  EXPECT_EQ(one->encode("<#>").front(), id);
  EXPECT_EQ(one->encode("<#>").size(), 2u);
  EXPECT_EQ(one->encode("<#>", Specials::parse), std::vector<Id>{id + 1});

  auto scored = golden_spec("llama2c");
  scored.tokens.insert(scored.tokens.end(), {"<t", "<t>"});
  scored.kinds.insert(scored.kinds.end(), {TokenKind::normal, TokenKind::control});
  scored.scores.insert(scored.scores.end(), {0, 0});
  for (const Id made : make_tokenizer(scored)->encode("<t>")) EXPECT_NE(made, static_cast<Id>(scored.tokens.size()) - 1);
}

TEST(Tokenizer, ServesSeveralThreads) {
  const auto& strings = golden_ids()["strings"];
  std::vector<std::thread> threads;
  std::vector<std::vector<Id>> made(4);
  for (size_t at = 0; at < made.size(); ++at)
    threads.emplace_back([&, at] {
      for (size_t text = 0; text < 300; ++text) {
        const auto ids = tokenizer("gpt2").encode(strings[text].get_ref<const std::string&>());
        made[at].insert(made[at].end(), ids.begin(), ids.end());
      }
    });
  for (auto& thread : threads) thread.join();
  for (const auto& one : made) EXPECT_EQ(one, made[0]);
}

TEST(Tokenizer, RefusesWhatDoesNotFit) {
  const auto refused = [](auto&& change) {
    auto spec = golden_spec("gpt2");
    change(spec);
    return error_of([&] { make_tokenizer(spec); });
  };
  EXPECT_EQ(refused([](TokenizerSpec& s) { s.model = "bpee"; }),
            "[tokenizer] unknown tokenizer model 'bpee'; did you mean 'bpe'?; known: byte, bpe and spm");
  EXPECT_EQ(refused([](TokenizerSpec& s) { s.split = "gpt2"; }),
            "[tokenizer] unknown pre-tokenizer 'gpt2'; did you mean 'gpt-2'?; known: gpt-2, llama-3, qwen2 and smollm");
  EXPECT_EQ(refused([](TokenizerSpec& s) { s.bos = 9999; }), "[tokenizer] bos is token 9999, but the vocabulary ends at 700");
  EXPECT_EQ(refused([](TokenizerSpec& s) { s.stops = {-2}; }), "[tokenizer] a stop is token -2, but the vocabulary ends at 700");
  EXPECT_EQ(refused([](TokenizerSpec& s) {
              s.merges = {{"a", "nope"}};
            }),
            "[tokenizer] merge 0 needs 'anope', which is not in the vocabulary");
  EXPECT_EQ(refused([](TokenizerSpec& s) { s.kinds.pop_back(); }), "[tokenizer] 701 tokens, but kinds of 700");
  EXPECT_EQ(refused([](TokenizerSpec& s) { s.scores = {1}; }), "[tokenizer] byte-level BPE has merges, not scores");
  EXPECT_EQ(refused([](TokenizerSpec& s) { s = model_spec("spm"), s.tokens = {"a"}; }),
            "[tokenizer] the vocabulary lacks the byte <0x00>; only vocabularies with byte fallback are known");
  EXPECT_EQ(error_of([] { tokenizer("gpt2").bytes(701); }), "[tokenizer] ids are 0 to 700; got 701");
  EXPECT_EQ(error_of([] { tokenizer("gpt2").bytes(-1); }), "[tokenizer] ids are 0 to 700; got -1");
}

}  // namespace
}  // namespace longview
