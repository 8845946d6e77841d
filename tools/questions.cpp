// longview eval questions: the questions of a file asked from independent contexts (NBCE), from all documents in one text, and from less.
#include "tools/questions.h"

#include "longview/base/progress.h"
#include "longview/base/text_format.h"
#include "longview/eval/questions.h"

namespace longview::tools {
namespace {

constexpr int64_t kAnswer = 24;  // tokens of an answer

/// One way of answering: what the model is shown.
struct Way {
  std::string kind, label, nbce;  // nbce: its setting; "": one text
  Method method;
  std::vector<std::string> contexts;  // "": none; several: the prompt alone and a context each
  bool is_one_of = false;             // only the context of the question's own document
};

struct Examiner {
  const QuestionsCommand& command;
  const Opened& opened;
  const QuestionSet& set;

  std::vector<Id> prompt(const std::string& context, const Question& question) const;
  std::string last_that_fits(const std::string& text) const;
  std::vector<Way> ways() const;
  /// None where Ctrl-C came first.
  std::optional<Json> answer_all(const Way& way) const;
};

const std::vector<std::string>& ways_to_ask() {
  static const std::vector<std::string> all{"nbce", "last", "whole", "alone", "none"};
  return all;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  if (const size_t at = text.find(what); at != std::string::npos) text.replace(at, what.size(), by);
  return text;
}

std::vector<Id> Examiner::prompt(const std::string& context, const Question& question) const {
  std::string text = replaced(replaced(command.form, "{question}", question.text), "{context}", context);
  text.erase(0, text.find_first_not_of('\n'));
  const auto& spec = opened.tokenizer->spec();
  if (command.chat) return ChatTemplate(spec).encode(*opened.tokenizer, {{"user", text}});
  std::vector<Id> ids = opened.tokenizer->encode(text);
  if (spec.bos >= 0 && spec.add_bos) ids.insert(ids.begin(), spec.bos);
  return ids;
}

/// The end of the text, so long that every question and its answer still fit into the trained length.
std::string Examiner::last_that_fits(const std::string& text) const {
  size_t longest = 0;
  for (const auto& question : set.questions) longest = std::max(longest, prompt("", question).size());
  const int64_t room = opened.model->config().trained_length - static_cast<int64_t>(longest) - kAnswer - 8;  // 8: of the seams
  LV_CHECK(room > 0, "[questions] a question of {} tokens leaves no room for a text", longest);
  const auto ids = opened.tokenizer->encode(text);
  if (static_cast<int64_t>(ids.size()) <= room) return text;
  return opened.tokenizer->decode(std::span(ids).last(static_cast<size_t>(room)));
}

std::vector<Way> Examiner::ways() const {
  const Method own = opened.model->method("", "");
  std::vector<std::string> rows{""}, alone;
  std::string whole;
  for (const auto& document : set.documents) {
    rows.push_back(document.text), alone.push_back(document.text);
    whole += (whole.empty() ? "" : "\n\n") + document.text;
  }
  std::vector<Way> out;
  for (const auto& setting : command.nbce) {
    const NbceOptions options = parse_nbce(setting);
    out.push_back({"nbce", "nbce " + setting_text(options.pooling, field_texts(options)), setting, own, rows});
  }
  out.push_back({"last", "the last tokens that fit", "", own, {last_that_fits(whole)}});
  for (const auto& [label, method] : labelled_methods(*opened.model, command.methods, command.list, {"none"}))
    out.push_back({"whole", "all in one text, " + label, "", method, {whole}});
  out.push_back({"alone", "the right document alone", "", own, alone, true});
  out.push_back({"none", "no document", "", own, {""}});
  if (!command.ways.empty())
    std::erase_if(
        out, [&](const Way& way) { return std::find(command.ways.begin(), command.ways.end(), way.kind) == command.ways.end(); });
  return out;
}

/// The context that made most of the answer, and the one of its first token.
std::pair<int64_t, int64_t> chosen(std::span<const Contexts::Choice> choices, size_t contexts) {
  std::vector<int64_t> counts(contexts, 0);
  for (const auto& choice : choices) ++counts[static_cast<size_t>(choice.context)];
  return {std::max_element(counts.begin(), counts.end()) - counts.begin(), choices.front().context};
}

std::optional<Json> Examiner::answer_all(const Way& way) const {
  Progress progress(static_cast<int64_t>(set.questions.size()), "questions", progress_output(command));
  std::vector<SharedPrompts> read;
  for (const auto& context : way.contexts) {
    std::vector<std::vector<Id>> prompts;
    for (const auto& question : set.questions) prompts.push_back(prompt(context, question));
    read.push_back(read_shared(*opened.model, way.method, std::move(prompts), command.chunk, [&](int64_t) {
      progress.update(0, way.label + ": reading");
      return !interrupted();
    }));
    if (interrupted()) return std::nullopt;
  }
  int64_t right = 0, longest = 0, mostly = 0, first = 0;
  Json answers = Json::array();
  for (size_t q = 0; q < set.questions.size(); ++q) {
    const Question& question = set.questions[q];
    std::vector<const SharedPrompts*> rows;
    for (size_t n = 0; n < read.size(); ++n)
      if (!way.is_one_of || static_cast<int64_t>(n) == question.document) rows.push_back(&read[n]);
    for (const auto* row : rows) longest = std::max(longest, static_cast<int64_t>(row->prompts[q].size()));
    auto sessions = asked(*opened.model, way.method, rows, q);
    const GenerateOptions options{.most = kAnswer, .stops = {"\n"}, .ignore_end = false, .sample = {}};
    const auto go_on = [](std::string_view) { return !interrupted(); };
    Generated made;
    Json one{{"question", question.text}};
    if (way.nbce.empty() && sessions.size() == 1) {
      made = generate(*opened.model, way.method, *opened.tokenizer, options, sessions.front(), go_on);
    } else {
      Contexts contexts(*opened.model, way.method, parse_nbce(way.nbce), std::move(sessions));
      made = generate(contexts, *opened.tokenizer, options, go_on);
      const auto [most, began] = chosen(contexts.choices(), set.documents.size());
      mostly += most == question.document, first += began == question.document;
      one["context"] = most, one["first_context"] = began;
    }
    if (interrupted()) return std::nullopt;
    const bool found = is_right(made.text, question);
    right += found;
    one.update({{"answer", made.text}, {"right", found}});
    answers.push_back(std::move(one));
    progress.update(static_cast<int64_t>(q + 1), fmt::format("{}: {} right", way.label, right));
  }
  progress.finish();
  const auto count = static_cast<double>(set.questions.size()), share = static_cast<double>(right) / count;
  Json out{{"label", way.label},
           {"position", way.method.position->setting},
           {"attention", way.method.attention->setting},
           {"length", longest},
           {"found", right},
           {"tried", set.questions.size()},
           {"error", std::sqrt(share * (1 - share) * count)}};
  if (way.contexts.size() > 1 && !way.is_one_of) out["right_context"] = mostly, out["right_first_context"] = first;
  out["answers"] = answers;
  return out;
}

}  // namespace

Json ask_questions(const QuestionsCommand& command, const Opened& opened) {
  LV_CHECK(!command.book.empty(), "[questions] give the file with the documents and questions: longview eval questions FILE");
  LV_CHECK(command.form.find("{context}") != std::string::npos && command.form.find("{question}") != std::string::npos,
           "[questions] --form needs {{context}} and {{question}}; got '{}'", command.form);
  for (const auto& way : command.ways)
    LV_CHECK(std::find(ways_to_ask().begin(), ways_to_ask().end(), way) != ways_to_ask().end(), "[questions] {}",
             unknown_name("way", way, ways_to_ask()));
  const QuestionSet set = parse_questions(Document(text_path(command.book, {command.json})).text(), command.book);
  const Examiner examiner{command, opened, set};
  TextTable table{{{"shown", TextTable::Align::left}, {"tokens"}, {"right"}, {"error"}, {"right context"}, {"at first"}}, {}};
  Json rows = Json::array();
  for (const auto& way : examiner.ways()) {
    const auto row = examiner.answer_all(way);
    if (!row) break;
    const auto chosen_text = [&](const char* key) { return row->contains(key) ? (*row)[key].dump() : std::string("-"); };
    table.rows.push_back({way.label, with_commas((*row)["length"].get<int64_t>()),
                          fmt::format("{}/{}", (*row)["found"].get<int64_t>(), (*row)["tried"].get<int64_t>()),
                          fmt::format("{:.1f}", (*row)["error"].get<double>()), chosen_text("right_context"),
                          chosen_text("right_first_context")});
    rows.push_back(*row);
  }
  print(command,
        table.text() + "  tokens: of the longest prompt; right context: of how many questions most of the answer came from it\n");
  return rows;
}

}  // namespace longview::tools
