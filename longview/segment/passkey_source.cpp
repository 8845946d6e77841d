// Recall to train a memory on (the passkey of arXiv:2305.16300 as arXiv:2404.07143 uses it): sentences with numbers hidden in filler, in a
// repeated snippet or in running text, and many questions for them, anywhere behind. Scored are the answers and, as a first step, the
// number's repetition inside its own sentence.
// Segment replication (ours): a segment of filler may count as written r times, so that the memory of a short text is that of a long one.
#include <algorithm>

#include "longview/segment/sources.h"

namespace longview {
namespace {

struct PasskeyConfig {
  double filler = 0.35, loops = 0.15;  // shares; the rest running text
  double intro = 0.8, named = 0.35, adjacent = 0.5, shield = 0.7, replicated = 0.75, edges = 0.15;
  int64_t needles = 4, questions = 16, digits = 5;
  void fields(auto&& field) {
    field("filler", filler, "share of rows in the repeated sentences of the original task");
    field("loops", loops,
          "share of rows in a snippet of text repeated with a period of 30 to 400 tokens; the rest is running text");
    field("intro", intro, "share of rows longer than 512 that begin with the task's introduction");
    field("named", named, "share of rows with several numbers that have names");
    field("adjacent", adjacent, "share of rows with one number whose first question is right behind it");
    field("shield", shield, "share of rows whose segments with questions only are not written to the memory");
    field("replicated", replicated, "share of rows whose segments of filler count several times, where the stage repeats them");
    field("edges", edges,
          "share of questions whose answer begins within 16 tokens of a segment's beginning, where least is in view");
    field("needles", needles, "most numbers in a row");
    field("questions", questions,
          "most questions in a row of 4,096 tokens and more; a quarter, half and three quarters in 512, 1,024, 2,048");
    field("digits", digits, "digits of a number");
  }
};

constexpr const char* kFiller = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ";
constexpr const char* kIntro =
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz you about the "
    "important "
    "information there. ";

enum Kind : int64_t { copy, same, near, far, named_same, named_near, named_far };

/// Tokens of a sentence and which of them are the number's.
struct Sentence {
  std::vector<Id> ids;
  std::vector<size_t> first, second;  // tokens of the number, each time it comes
};

class PasskeySource final : public Source {
 public:
  PasskeySource(PasskeyConfig config, const SourceParts& parts)
      : c(config), tokenizer_(parts.tokenizer), pool_(parts.pool), random_{parts.seed} {
    LV_CHECK(c.filler >= 0 && c.loops >= 0 && c.filler + c.loops <= 1, "[passkey] filler and loops are shares of 1; got {} and {}",
             c.filler, c.loops);
    LV_CHECK(pool_ != nullptr || c.filler == 1, "[passkey] files is needed for running text, unless filler is 1");
    LV_CHECK(c.needles >= 1 && c.questions >= 1 && c.digits >= 1, "[passkey] needles, questions and digits must be at least 1");
    filler_ = tokenizer_.encode(kFiller), intro_ = tokenizer_.encode(kIntro);
  }

  Batch next(const BatchShape& shape) override {
    const int64_t B = shape.rows, T = shape.length;
    Batch out;
    const Tensor all = at::zeros({B, T + 1}, at::kLong);
    out.targets = at::full({B, T}, -1, at::kLong), out.kind = at::zeros({B, T}, at::kLong), out.write = at::ones({B, T});
    for (int64_t b = 0; b < B; ++b)
      row(shape, all[b].data_ptr<int64_t>(), out.targets[b].data_ptr<int64_t>(), out.kind[b].data_ptr<int64_t>(),
          out.write[b].data_ptr<float>());
    out.ids = all.narrow(1, 0, T).contiguous();
    return out;
  }

  std::vector<std::string> kinds() const override {
    return {"copy", "same", "1-3 back", "4+ back", "named same", "named 1-3 back", "named 4+ back"};
  }
  std::vector<int64_t> steering() const override { return {near, far}; }
  Json state() const override { return random_.state; }
  void restore(const Json& state) override { random_.state = state.get<uint64_t>(); }

 private:
  struct Needle {
    int64_t at, size;
    std::string number, name;
  };

  std::string letters(int64_t count, char least, char most) {
    std::string out;
    for (int64_t n = 0; n < count; ++n) out += static_cast<char>(random_.between(least, most));
    return out;
  }

  /// before + number + between + number + after, with the tokens of the number.
  Sentence sentence(const std::vector<std::string>& parts, const std::string& number) const {
    Sentence out;
    for (size_t n = 0; n < parts.size(); ++n) {
      for (const Id id : tokenizer_.encode(parts[n])) out.ids.push_back(id);
      if (n + 1 == parts.size()) break;
      for (const Id id : tokenizer_.encode(number))
        (n == 0 ? out.first : out.second).push_back(out.ids.size()), out.ids.push_back(id);
    }
    return out;
  }

  std::string gap() { return random_.chance(0.5) ? " " : "\n"; }

  Sentence told(const Needle& needle) {
    const std::string of = needle.name.empty() ? "" : " for " + needle.name;
    return sentence({gap() + "The pass key" + of + " is", ". Remember it.", " is the pass key" + of + "." + gap()},
                    " " + needle.number);
  }
  Sentence asked(const Needle& needle) {
    const std::string of = needle.name.empty() ? "" : " for " + needle.name;
    return sentence({gap() + "What is the pass key" + of + "? The pass key" + of + " is", "." + gap()}, " " + needle.number);
  }

  void fill(int64_t T, int64_t* ids) {
    const double u = random_.real();
    const int64_t phase = random_.between(0, 99999);
    if (u < c.filler) {
      for (int64_t t = 0; t <= T; ++t) ids[t] = filler_[static_cast<size_t>(t + phase) % filler_.size()];
    } else {
      const int64_t period = u < c.filler + c.loops ? random_.between(30, 400) : T + 1;
      LV_CHECK(pool_->size() > T, "[passkey] the files have {} tokens, fewer than a row of {} and one more", pool_->size(), T);
      const int64_t at = random_.between(0, pool_->size() - T - 1), begin = period > T ? 0 : phase;
      for (int64_t t = 0; t <= T; ++t) ids[t] = (*pool_)[at + (t + begin) % period];
    }
  }

  /// A free place for `size` tokens in [from, to], uniform; -1: none was found.
  int64_t place(const std::vector<bool>& used, int64_t from, int64_t to, int64_t size) {
    for (int attempt = 0; attempt < 20 && from + size <= to; ++attempt) {
      const int64_t at = random_.between(from, to - size);
      if (std::none_of(used.begin() + at, used.begin() + at + size, [](bool x) { return x; })) return at;
    }
    return -1;
  }

  void row(const BatchShape& shape, int64_t* ids, int64_t* targets, int64_t* kinds, float* write) {
    const int64_t T = shape.length, N = shape.segment > 0 ? shape.segment : T, S = (T + N - 1) / N;
    fill(T, ids);
    int64_t begin = 0;
    if (T > 512 && random_.chance(c.intro)) {
      std::copy(intro_.begin(), intro_.end(), ids);
      begin = static_cast<int64_t>(intro_.size());
    }
    const bool is_named = c.needles > 1 && random_.chance(c.named);
    std::vector<bool> used(static_cast<size_t>(T + 1), false);
    std::vector<bool> has_needle(static_cast<size_t>(S), false), has_question(static_cast<size_t>(S), false);
    const auto put = [&](const Sentence& s, int64_t at, std::vector<bool>& marks) {
      for (size_t n = 0; n < s.ids.size(); ++n)
        ids[at + static_cast<int64_t>(n)] = s.ids[n], used[static_cast<size_t>(at) + n] = true;
      for (int64_t seg = at / N; seg <= std::min(S - 1, (at + static_cast<int64_t>(s.ids.size()) - 1) / N); ++seg)
        marks[static_cast<size_t>(seg)] = true;
    };
    const auto score = [&](const Sentence& s, int64_t at, const std::vector<size_t>& tokens, Kind kind) {
      for (const size_t token : tokens) {
        const int64_t t = at + static_cast<int64_t>(token) - 1;
        if (t < 0 || t >= T) continue;
        targets[t] = s.ids[token], kinds[t] = kind;
      }
    };
    std::vector<Needle> needles;
    const int64_t wanted = is_named ? random_.between(2, c.needles) : 1;
    for (int64_t n = 0; n < wanted; ++n) {
      Needle needle{0, 0, letters(c.digits, '0', '9'), is_named ? letters(4, 'a', 'z') : ""};
      const Sentence s = told(needle);
      needle.size = static_cast<int64_t>(s.ids.size());
      // early places more often, so that most questions have a needle before them
      const int64_t last = begin + static_cast<int64_t>(static_cast<double>(T - begin) * (0.3 + 0.7 * random_.real()));
      needle.at = place(used, begin, last, needle.size);
      if (needle.at < 0) continue;
      put(s, needle.at, has_needle);
      score(s, needle.at, s.second, copy);
      needles.push_back(needle);
    }
    if (!needles.empty())
      ask(T, N, needles, is_named, used, [&](const Needle& needle, const Sentence& s, int64_t at) {
        put(s, at, has_question);
        const int64_t back = (at + static_cast<int64_t>(s.first.front())) / N - (needle.at + 1) / N;
        const Kind kind = back <= 0   ? (is_named ? named_same : same)
                          : back <= 3 ? (is_named ? named_near : near)
                                      : (is_named ? named_far : far);
        score(s, at, s.first, kind);
      });
    weigh(shape, T, N, has_needle, has_question, write);
  }

  void ask(int64_t T, int64_t N, const std::vector<Needle>& needles, bool is_named, const std::vector<bool>& used,
           const std::function<void(const Needle&, const Sentence&, int64_t)>& put_question) {
    const int64_t most = std::max<int64_t>(1, T <= 512    ? c.questions / 4
                                              : T <= 1024 ? c.questions / 2
                                              : T <= 2048 ? c.questions * 3 / 4
                                                          : c.questions);
    for (int64_t n = 0; n < most; ++n) {
      const Needle& needle = needles[static_cast<size_t>(random_.between(0, static_cast<int64_t>(needles.size()) - 1))];
      const Sentence question = asked(needle);
      const int64_t size = static_cast<int64_t>(question.ids.size()), behind = needle.at + needle.size;
      const bool is_adjacent = n == 0 && !is_named && random_.chance(c.adjacent);
      const auto answer = static_cast<int64_t>(question.first.front());
      int64_t at = -1;
      if (!is_adjacent && random_.chance(c.edges)) {
        const int64_t edge = random_.between(behind / N + 1, std::max(behind / N + 1, T / N)) * N + random_.between(-8, 8) - answer;
        if (edge >= behind) at = place(used, edge, std::min(T, edge + size), size);
      } else {
        at = is_adjacent ? place(used, behind, std::min(T, behind + size + 16), size) : place(used, behind, T, size);
      }
      if (at >= 0) put_question(needle, question, at);
    }
  }

  void weigh(const BatchShape& shape, int64_t T, int64_t N, const std::vector<bool>& has_needle,
             const std::vector<bool>& has_question, float* write) {
    const double repeats = shape.repeats > 1 && random_.chance(c.replicated)
                               ? std::exp(random_.real() * std::log(static_cast<double>(shape.repeats)))
                               : 1;
    const float shielded = random_.chance(c.shield) ? 0.0F : 1.0F;
    for (int64_t s = 0; s * N < T; ++s) {
      const double times = std::max(1.0, repeats * (0.2 + 1.6 * random_.real()));
      const auto at = static_cast<size_t>(s);
      const float r = has_needle[at] ? 1.0F : has_question[at] ? shielded : repeats > 1.01 ? static_cast<float>(times) : 1.0F;
      std::fill(write + s * N, write + std::min(T, (s + 1) * N), r);
    }
  }

  PasskeyConfig c;
  const Tokenizer& tokenizer_;
  std::shared_ptr<const TokenPool> pool_;
  Random random_;
  std::vector<Id> filler_, intro_;
};

}  // namespace

std::unique_ptr<Source> make_passkey_source(const Setting& setting, const SourceParts& parts) {
  return std::make_unique<PasskeySource>(with_values(PasskeyConfig{}, setting), parts);
}

}  // namespace longview
