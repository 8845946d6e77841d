// longview eval TASK: what a model still finds, or copies, in a text far longer than it was trained for.
#include "longview/base/text_format.h"
#include "longview/eval/repeat.h"
#include "tools/passkey.h"

namespace longview::tools {
namespace {

struct EvalCommand : PasskeyCommand {
  std::string task;
  int64_t period = 0;
};

const std::vector<std::string>& tasks() {
  static const std::vector<std::string> all{"needle", "passkey", "questions", "repeat"};
  return all;
}

Text book_of(const EvalCommand& command, const Tokenizer& tokenizer) {
  std::vector<Document> documents;
  documents.emplace_back(command.book.empty() ? default_book() : text_path(command.book, {command.json}));
  return tokenize(documents, tokenizer, 0);
}

/// Full attention without scaling, or what the model was made for.
std::string usual_method(const Transformer& model) { return model.config().attention.empty() ? "none" : model.config().attention; }

/// Su's columns: accuracy of the next token inside a text that repeats itself and inside one that does not, from the first repetition on.
Json repeat(const EvalCommand& command, const Opened& opened) {
  const auto lengths = parse_edges("eval", command.lengths, "--lengths");
  const Text book = book_of(command, *opened.tokenizer);
  const auto methods = labelled_methods(*opened.model, command.methods, command.list, {usual_method(*opened.model)});
  const int64_t trained = opened.model->config().trained_length;
  TextTable table{{{"method", TextTable::Align::left}, {"length"}, {"inside"}, {"repeated"}, {"non-repeated"}}, {}};
  Json rows = Json::array();
  for (const int64_t length : lengths) {
    const int64_t period = command.period > 0 ? command.period : length / 2;
    LV_CHECK(static_cast<int64_t>(book.ids.size()) >= length, "[eval] {} has {} tokens; {} are needed", book.name, book.ids.size(),
             length);
    LV_CHECK(period < length, "[eval] --period must be less than the length of {}; got {}", length, period);
    const std::span<const Id> plain(book.ids.data(), static_cast<size_t>(length));
    const auto again = repeated(plain, period, length);
    for (const auto& [label, method] : methods) {
      if (interrupted()) break;
      Progress progress(2 * length, "tokens", progress_output(command));
      int64_t before = 0;
      const auto step = [&, &name = label](int64_t tokens) {
        progress.update(before + tokens, name);
        return !interrupted();
      };
      const Accuracy rep = next_token_accuracy(*opened.model, method, again, period, command.chunk, step);
      before = length;
      const Accuracy non = next_token_accuracy(*opened.model, method, plain, period, command.chunk, step);
      progress.finish();
      if (interrupted()) break;
      table.rows.push_back({label, with_commas(length), fmt::format("{:.2f}", 100 * non.first),
                            fmt::format("{:.2f}", 100 * rep.rest), fmt::format("{:.2f}", 100 * non.rest)});
      rows.push_back({{"label", label},
                      {"position", method.position->setting},
                      {"attention", method.attention->setting},
                      {"length", length},
                      {"period", period},
                      {"first", non.first},
                      {"repeated", rep.rest},
                      {"non_repeated", non.rest},
                      {"repeated_nll", rep.rest_nll},
                      {"non_repeated_nll", non.rest_nll}});
    }
  }
  print(command,
        table.text() +
            fmt::format("  % of next tokens right: before the repetition begins, and from there on; trained for {} tokens\n",
                        with_commas(trained)));
  return rows;
}

void eval(EvalCommand& command) {
  interrupted();
  command.is_needle = command.task == "needle";
  LV_CHECK(std::find(tasks().begin(), tasks().end(), command.task) != tasks().end(), "[eval] {}",
           unknown_name("task", command.task, tasks()));
  LV_CHECK(command.trials >= 1 && command.chunk >= 1, "[eval] --trials and --chunk must be at least 1; got {} and {}",
           command.trials, command.chunk);
  parse_edges("eval", command.lengths, "--lengths");
  check_writable("--json", command.json);
  check_writable("--report", command.report);
  const Opened opened = open_model(command);
  const Json rows = command.task == "repeat"      ? repeat(command, opened)
                    : command.task == "questions" ? ask_questions(command, opened)
                                                  : find_keys(command, opened);
  Json out{{"task", command.task},
           {"model", opened.model->config().name},
           {"trained_length", opened.model->config().trained_length},
           {"seed", command.seed}};
  if (command.task == "passkey")
    out["prompts"] = {
        {"wordings", command.wordings}, {"keys", command.keys}, {"needles", command.needles}, {"haystack", command.haystack}};
  out["rows"] = rows, out["interrupted"] = interrupted().load();
  write_json(command, out);
}

}  // namespace

void add_eval(CLI::App& program) {
  auto command = std::make_shared<EvalCommand>();
  auto* app = program.add_subcommand("eval", "what a model finds or copies in long texts: passkey, needle, repeat, questions");
  app->add_option("task", command->task,
                  "passkey: a key hidden in repeated sentences or books; needle: a number in a book; repeat: a text that repeats "
                  "itself; questions: "
                  "about the documents of a file")
      ->type_name("TASK")
      ->required();
  app->add_option("book", command->book, "text for needle and repeat (none: the demo book), file of questions")->type_name("FILE");
  add_model_options(*app, *command);
  app->add_option("--methods", command->list, "methods, as `longview compare` takes them")->type_name("A,B,...");
  app->add_option("--method", command->methods, "one more method; may be repeated")
      ->type_name("POSITION+ATTENTION")
      ->allow_extra_args(false);
  add_passkey_options(*app, *command);
  add_count(*app, "--period", command->period, "repeat: tokens after which the text begins anew; 0: half the length");
  app->add_option("--nbce", command->nbce, "questions: a pooling to answer with, as generate takes it; may be repeated")
      ->type_name("POOLING")
      ->allow_extra_args(false);
  app->add_option("--ways", command->ways, "questions: only some of nbce, last (tokens that fit), whole, alone, none")
      ->type_name("A,B,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  app->add_option("--form", command->form, "questions: what is asked, with {context} and {question} in it")->type_name("TEXT");
  app->add_flag("--chat", command->chat, "questions: the form is a message in the model's chat template");
  add_count(*app, "--seed", command->seed, "of the numbers and of where the book begins (0)");
  add_count(*app, "--chunk", command->chunk, "tokens read at once (512)");
  app->callback([command] { eval(*command); });
}

}  // namespace longview::tools
