// Rows and prompts with hidden keys: every answer is in the text before it, and nothing gives it away.
#include "longview/segment/passkey.h"

#include <regex>
#include <set>

#include "longview/text/tokenizer.h"
#include "tests/segment/sources.h"

namespace longview::testing {
namespace {

struct PasskeyTest : SourceTest {
  std::vector<std::shared_ptr<const Tokenizer>> tokenizers = {bytes};
  void SetUp() override {
    SourceTest::SetUp();
    put("books/a.txt", prose(60000, 1));
    put("books/b.txt", prose(30000, 2));
    for (const char* name : {"gpt2", "llama3", "metaspace"})
      tokenizers.push_back(
          make_tokenizer(tokenizer_from_json(read_text(fmt::format("{}/tokenizer_{}.json", LONGVIEW_GOLDEN, name)), "", name)));
  }
};

constexpr int64_t kEnd = 8;  // of kinds()

/// A run of targets [from, to) of one kind. Some tokens of a named key are of that kind, what its name decides, the others of that of a key without a name.
struct Answer {
  size_t from, to;
  int64_t kind;
  std::string decided;  // a sign a token: N, what the name decides, or -
};
std::vector<Answer> answers(const std::vector<int64_t>& kinds) {
  const auto without_name = [](int64_t kind) { return kind >= 5 && kind < kEnd ? kind - 3 : kind; };
  std::vector<Answer> out;
  for (size_t t = 0; t < kinds.size(); ++t) {
    if (kinds[t] < 1) continue;
    const bool goes_on = !out.empty() && out.back().to == t && without_name(out.back().kind) == without_name(kinds[t]);
    if (!goes_on) out.push_back({t, t, kinds[t], ""});
    Answer& answer = out.back();
    answer.to = t + 1;
    answer.kind = std::max(answer.kind, kinds[t]);
    answer.decided += kinds[t] == without_name(kinds[t]) ? '-' : 'N';
  }
  return out;
}

TEST_F(PasskeyTest, EveryAnswerIsAKeyThatWasShown) {
  for (const char* setting : {"passkey:path=@books,rows=0.75", "passkey", "recall:path=@books", "passkey:path=@books,numbers=1"}) {
    SCOPED_TRACE(setting);
    const auto made = source(setting);
    std::map<int64_t, int64_t> seen;
    for (int step = 0; step < 60; ++step) {
      const int64_t T = step % 2 == 0 ? 512 : 4096, N = 256;
      const Batch batch = made->next({4, T, N, 32});
      for (int64_t b = 0; b < 4; ++b) {
        const std::string row = text(batch.ids[b], *bytes);
        const auto kinds = numbers(batch.kind[b]);
        for (const Answer& answer : answers(kinds)) {
          ++seen[answer.kind];
          if (answer.kind == kEnd) {
            EXPECT_EQ(answer.to - answer.from, 1u) << "what follows an answer";
            continue;
          }
          if (answer.to == kinds.size()) continue;  // the last key may be cut off
          ASSERT_EQ(answer.to - answer.from, 5u);
          const std::string key = row.substr(answer.from + 1, 5);
          if (key.size() < 5) continue;
          ASSERT_TRUE(std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; })) << key;
          const size_t shown = row.find(key);
          ASSERT_LT(shown, answer.from + 1) << key;
          if (answer.kind == 1) {
            EXPECT_LT(answer.from - shown, 40u);
            continue;
          }
          const size_t back = (answer.from + 1) / 256 - shown / 256;
          const int64_t distance = (answer.kind - 2) % 3;
          EXPECT_EQ(distance, back == 0 ? 0 : back <= 3 ? 1 : 2);
          if (answer.kind < 5) continue;
          // Named: what is asked for is what was said of that name.
          const std::string before = row.substr(0, answer.from + 1);
          const size_t at = before.rfind(" is ") == before.size() - 4 ? before.size() - 8 : before.size() - 7;
          const std::string name = before.substr(at, 4);
          EXPECT_EQ(row.substr(row.find(name + (at + 8 == before.size() ? " is " : " = ")) + before.size() - at, 5), key) << name;
          // Its name decides the tokens at which another key said so far that began the same goes on in another way.
          const std::regex said("([a-z]{4}) (is|=) ([0-9]{5})");
          std::string decided(key.size(), '-');
          for (std::sregex_iterator one(before.begin(), before.end(), said), end; one != end; ++one) {
            const std::string other = (*one)[3];
            const auto parts = static_cast<size_t>(std::mismatch(key.begin(), key.end(), other.begin()).first - key.begin());
            if ((*one)[1] != name && parts < key.size()) decided[parts] = 'N';
          }
          EXPECT_EQ(answer.decided, decided) << name << " " << key;
        }
      }
    }
    for (int64_t kind = 2; kind < kEnd; ++kind)
      EXPECT_TRUE(seen[kind] > 10 || (std::string(setting).starts_with("recall") && kind < 5)) << kind << ": " << seen[kind];
  }
}

TEST_F(PasskeyTest, AnswersThatRepeatOneInViewAreNotScored) {
  const auto scored = [&](const std::string& setting) {  // answers by what was said in the 320 tokens before them
    const auto made = source(setting);
    std::pair<int, int> out;  // the same key in an answer; not
    for (int step = 0; step < 40; ++step) {
      const Batch batch = made->next({4, 4096, 256});
      for (int64_t b = 0; b < 4; ++b) {
        const std::string row = text(batch.ids[b], *bytes);
        for (const Answer& answer : answers(numbers(batch.kind[b]))) {
          if (answer.kind < 2 || answer.kind == kEnd || answer.to + 1 >= row.size()) continue;
          const size_t from = answer.from + 1, view = from < 320 ? 0 : from - 320;
          const std::string key = row.substr(from, 5), before = row.substr(view, from - view);
          ++(before.find("? The pass key is " + key) == std::string::npos ? out.second : out.first);
        }
      }
    }
    return out;
  };
  const auto all = scored("passkey:named=0"), fresh = scored("passkey:named=0,fresh=320");
  EXPECT_GT(all.first, 200);
  EXPECT_EQ(fresh.first, 0);
  EXPECT_GT(fresh.second, 200);
}

TEST_F(PasskeyTest, WorksWithAnyTokenizerAndWording) {
  for (const auto& tokenizer : tokenizers)
    for (const char* setting : {"passkey:wordings=many,keys=mixed,named=0", "passkey:wordings=heldout,keys=words,named=0"}) {
      const auto made = source(setting, 3, tokenizer);
      int answered = 0;
      for (int step = 0; step < 10; ++step) {
        const Batch batch = made->next({2, 2048, 256});
        for (int64_t b = 0; b < 2; ++b) {
          const auto kinds = numbers(batch.kind[b]);
          for (const Answer& answer : answers(kinds)) {
            if (answer.to == kinds.size()) continue;
            const std::string key =
                text(batch.targets[b].slice(0, static_cast<int64_t>(answer.from), static_cast<int64_t>(answer.to)), *tokenizer);
            const std::string before = text(batch.ids[b].slice(0, 0, static_cast<int64_t>(answer.from) + 1), *tokenizer);
            const size_t from = key.front() == ' ' ? 1 : 0;
            EXPECT_NE(before.find(key.substr(from, key.find_last_not_of(".,; \n") + 1 - from)), std::string::npos) << key;
            ++answered;
          }
        }
      }
      EXPECT_GT(answered, 50);
    }
}

TEST_F(PasskeyTest, NeedlesStandEverywhere) {
  const auto made = source("passkey:named=0,early=0,adjacent=0,intro=0,questions=1");
  std::vector<double> phase(32);
  std::set<size_t> offsets;
  double needles = 0;
  for (int step = 0; step < 300; ++step) {
    const Batch batch = made->next({16, 1024, 256});
    for (int64_t b = 0; b < 16; ++b) {
      const size_t at = text(batch.ids[b], *bytes).find(" The pass key is ");
      if (at == std::string::npos) continue;
      ++phase[at % 32];  // the chance falls smoothly along the row, since a question follows
      offsets.insert(at % 256);
      ++needles;
    }
  }
  double chi = 0;  // 31 degrees of freedom: above 80 once in a million
  for (const double n : phase) chi += (n - needles / 32) * (n - needles / 32) / (needles / 32);
  EXPECT_LT(chi, 80);
  EXPECT_GT(needles, 4700);
  EXPECT_EQ(offsets.size(), 256u);
}

TEST_F(PasskeyTest, WeightsOfTheMemory) {
  const auto made = source("passkey:path=@books,rows=0.5");
  double most = 0, shielded = 0, asked = 0, replicated = 0, rows = 0;
  for (int step = 0; step < 60; ++step) {
    const Batch batch = made->next({8, 4096, 256, 64});
    const Tensor write = batch.write.defined() ? batch.write.view({8, 16, 256}) : at::ones({8, 16, 256});  // [B,S,N]; none: all 1
    EXPECT_TRUE(at::equal(std::get<0>(write.min(2)), std::get<0>(write.max(2)))) << "one weight a segment";
    for (int64_t b = 0; b < 8; ++b) {
      const Tensor weights = write[b].select(1, 0);  // [S]
      if (batch.kind[b].eq(0).any().item<bool>()) {
        EXPECT_TRUE(weights.eq(1).all().item<bool>()) << "text";
        continue;
      }
      const Tensor kinds = batch.kind[b].view({16, 256});  // [S,N]
      const auto copied = kinds.eq(1).any(1).nonzero();
      ASSERT_GT(copied.size(0), 0);
      const int64_t first = copied[0].item<int64_t>();  // the segment where the first needle ends
      EXPECT_LE(weights.narrow(0, first, 16 - first).max().item<double>(), 1) << "what has seen a key counts once";
      ++rows;
      replicated += weights.gt(1).any().item<bool>();
      most = std::max(most, weights.max().item<double>());
      for (int64_t s = 0; s < 16; ++s) {
        if (kinds[s].eq(1).any().item<bool>()) EXPECT_EQ(weights[s].item<double>(), 1) << "a needle";
        else if (kinds[s].ge(2).any().item<bool>()) asked += 1, shielded += weights[s].item<double>() == 0;
      }
    }
  }
  EXPECT_GT(most, 64);
  EXPECT_LE(most, 64 * 1.8);
  EXPECT_NEAR(replicated / rows, 0.75, 0.15);
  EXPECT_NEAR(shielded / asked, 0.7, 0.15);
  EXPECT_NEAR(rows, 240, 1);
}

TEST_F(PasskeyTest, ShortRowsHaveRoomWhereFillerCounts) {
  const auto plain = source("passkey:path=@books,rows=1"), counted = source("passkey:path=@books,rows=1,replicated=1");
  int64_t questions = 0, of_counted = 0;
  for (int step = 0; step < 60; ++step) {
    const Batch batch = counted->next({4, 256, 32, 16});
    EXPECT_TRUE(std::get<0>(batch.write.max(1)).gt(1).any().item<bool>());
    of_counted += batch.kind.ge(2).sum().item<int64_t>();
    questions += plain->next({4, 256, 32, 1}).kind.ge(2).sum().item<int64_t>();
  }
  EXPECT_GT(of_counted, questions * 0.8) << "what leads to the needle takes of the filler, not of the questions";
}

TEST_F(PasskeyTest, FillerMayBeFullOfNumbers) {
  const auto digits = [&](const char* setting) {
    const auto made = source(setting);
    int64_t count = 0;
    for (int step = 0; step < 20; ++step)
      for (const char c : text(made->next({1, 2048, 256, 1}).ids[0], *bytes))
        count += std::isdigit(static_cast<unsigned char>(c)) ? 1 : 0;
    return count;
  };
  EXPECT_GT(digits("passkey:path=@books,numbers=1"), digits("passkey:path=@books") + 20 * 30);
}

// Seven styles, one a text; verses and lists mostly count on behind one label.
TEST(NumbersOfAText, KeepTheirStyleAndCountOn) {
  Random random(3);
  const std::vector<std::regex> styles = {std::regex(R"(\n([1-9]?[A-Z][a-z]*)?[0-9]+:[0-9]+ )"),
                                          std::regex(R"( ([1-9]?[A-Z][a-z]*)?[0-9]+\. )"),
                                          std::regex(R"( in [0-9]{4} )"),
                                          std::regex(R"( [0-9]+,[0-9]{3} )"),
                                          std::regex(R"( [A-Z0-9]{3}-[A-Z0-9]{3} )"),
                                          std::regex(R"( [a-z]+ )"),
                                          std::regex(R"( [0-9]+ )")};
  std::vector<int> texts(styles.size());
  int counts_on = 0;
  for (int text = 0; text < 700; ++text) {
    Numbers numbers(random);
    const std::string one = numbers.next(random), other = numbers.next(random);
    const auto has = [&](const std::regex& style) { return std::regex_match(one, style) && std::regex_match(other, style); };
    const auto style = static_cast<size_t>(std::find_if(styles.begin(), styles.end(), has) - styles.begin());
    ASSERT_LT(style, styles.size()) << one << other;
    ++texts[style];
    std::smatch at, then;
    const std::regex verse(R"(\n(.*[^0-9])?([0-9]+):([0-9]+) )");
    if (std::regex_match(one, at, verse) && std::regex_match(other, then, verse) && at[1] == then[1])
      counts_on += at[2] == then[2] && std::stoi(then[3]) == std::stoi(at[3]) + 1 ? 1 : 0;
  }
  for (const int count : texts) EXPECT_NEAR(count, 100, 35);
  EXPECT_NEAR(counts_on, 75, 30);
}

TEST_F(PasskeyTest, KeysAndNumbersMayBeginAlike) {
  Random random(4);
  for (const char* kind : {"digits", "words", "codes"})
    for (int i = 0; i < 200; ++i) {
      const std::string key = random_key(kind, random), other = alike(key, random);
      EXPECT_NE(key, other);
      EXPECT_EQ(key.substr(0, key.find(' ') == std::string::npos ? 1 : key.find(' ')),
                other.substr(0, other.find(' ') == std::string::npos ? 1 : other.find(' ')));
      if (std::string(kind) != "words") EXPECT_EQ(key.size(), other.size());
    }
  // In the filler: numbers of five digits that begin as the key does.
  const auto decoys = [&](const std::string& setting) {
    const auto made = source(setting);
    int count = 0;
    for (int step = 0; step < 20; ++step) {
      const std::string row = text(made->next({1, 4096, 256, 1}).ids[0], *bytes);
      const size_t at = row.find(" The pass key is ");
      if (at == std::string::npos) continue;
      const std::string key = row.substr(at + 17, 5);
      for (size_t other = row.find(" " + key.substr(0, 2)); other != std::string::npos;
           other = row.find(" " + key.substr(0, 2), other + 1))
        count += std::regex_match(row.substr(other + 1, 6), std::regex("[0-9]{5} ")) && row.substr(other + 1, 5) != key ? 1 : 0;
    }
    return count;
  };
  EXPECT_GT(decoys("passkey:named=0,numbers=1,alike=0.5"), 100);
  EXPECT_LT(decoys("passkey:named=0,numbers=1"), 10);
}

TEST_F(PasskeyTest, WordingsAreManyAndHeldOutOnesAreApart) {
  const Grammar many = grammar("many"), held = grammar("heldout");
  EXPECT_EQ(many.wordings(), 1008 * 864 * 96);
  EXPECT_EQ(held.wordings(), 6 * 4 * 4);
  std::set<std::string> seen;
  for (const Grammar& one : {many, held})
    for (const auto& part : {one.things, one.statements, one.questions})
      for (const auto& text : part) EXPECT_TRUE(seen.insert(text).second) << text;
  // Half are made up on the spot, with the blanks that the others have, and never the same.
  Random random(5);
  const auto made_up = [&](auto draw) {
    std::set<std::string> out;
    int count = 0;
    for (int i = 0; i < 1000; ++i)
      if (const std::string one = draw(); !seen.contains(one)) ++count, out.insert(one);
    EXPECT_NEAR(count, 500, 80);
    EXPECT_GT(static_cast<int>(out.size()), count * 9 / 10);
    return out;
  };
  made_up([&] { return many.thing(random); });
  for (const auto& made : {made_up([&] { return many.statement(random); }), made_up([&] { return many.question(random); })})
    for (const auto& text : made)
      for (const char* blank : {"{thing}{of}", "{key}"}) EXPECT_NE(text.find(blank), std::string::npos) << text;
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(seen.contains(held.thing(random)) && seen.contains(held.statement(random)) && seen.contains(held.question(random)));
}

TEST_F(PasskeyTest, NamedNeedlesMayAllStandBeforeTheirQuestions) {
  const auto answered_at_once =
      [&](const std::string& setting) {  // share of rows whose first question comes before the last needle
        const auto made = source(setting);
        int early = 0, rows = 0;
        for (int step = 0; step < 20; ++step) {
          const Batch batch = made->next({4, 4096, 256});
          for (int64_t b = 0; b < 4; ++b) {
            const std::string row = text(batch.ids[b], *bytes);
            const size_t question = row.find(" What is the pass key for "), needle = row.rfind("Remember it.");
            ++rows, early += question < needle ? 1 : 0;
          }
        }
        return static_cast<double>(early) / rows;
      };
  EXPECT_EQ(answered_at_once("passkey:named=1,needles=4,gathered=1"), 0);
  // They take a large share of the row, however many questions follow.
  const auto made = source("passkey:named=1,needles=4,gathered=1,questions=16");
  int late = 0;
  for (int step = 0; step < 20; ++step) {
    const Batch batch = made->next({4, 4096, 256});
    for (int64_t b = 0; b < 4; ++b) late += text(batch.ids[b], *bytes).rfind("Remember it.") > 1024 ? 1 : 0;
  }
  EXPECT_GT(late, 40) << "of 80";
  EXPECT_GT(answered_at_once("passkey:named=1,needles=4,gathered=0"), 0.5);
}

TEST_F(PasskeyTest, PromptsAreAsLongAsAskedAndAnswered) {
  const std::string story = prose(100000, 9);
  for (const auto& tokenizer : tokenizers) {
    const auto book = tokenizer->encode(story);
    for (const double depth : {0.0, 0.3, 1.0})
      for (const int64_t needles : {1, 4})
        for (const char* wordings : {"one", "many", "heldout"}) {
          PasskeyTask task;
          task.length = 2048;
          task.depth = depth;
          task.needles = needles;
          task.wordings = wordings;
          task.keys = "mixed";
          task.seed = static_cast<uint64_t>(depth * 100) + static_cast<uint64_t>(needles);
          if (needles == 4) task.book = book;
          const auto prompt = passkey_prompt(task, *tokenizer);
          ASSERT_EQ(prompt.ids.size(), 2048u);
          const auto piece = [&](int64_t from, int64_t to) {
            return tokenizer->decode(std::span(prompt.ids).subspan(static_cast<size_t>(from), static_cast<size_t>(to - from)));
          };
          EXPECT_NE(piece(prompt.answer_begin, prompt.answer_end).find(prompt.key), std::string::npos);
          EXPECT_NE(piece(prompt.needle_begin, prompt.needle_end).find(prompt.key), std::string::npos);
          EXPECT_LE(prompt.needle_end, prompt.answer_begin);
          EXPECT_EQ(passkey_prompt(task, *tokenizer).ids, prompt.ids);
        }
  }
}

TEST_F(PasskeyTest, TheNeedleOfAPromptStandsAtEveryOffset) {
  for (int64_t at = 1024; at < 1280; ++at)
    for (const int64_t needles : {1, 5}) {
      PasskeyTask task{.length = 4096, .needle_at = at, .needles = needles, .seed = static_cast<uint64_t>(at)};
      const auto prompt = passkey_prompt(task, *bytes);
      ASSERT_EQ(prompt.ids.size(), 4096u);
      EXPECT_EQ(prompt.needle_begin, at);
      EXPECT_EQ(prompt.ids[static_cast<size_t>(at) + 1], 'T');
    }
  PasskeyTask task{.length = 300, .needle_at = 290};
  EXPECT_THROW(passkey_prompt(task, *bytes), Error);
  task = {.length = 200};
  EXPECT_THROW(passkey_prompt(task, *bytes), Error);
}

}  // namespace
}  // namespace longview::testing
