// longview eval TASK: what a model still finds, or copies, in a text far longer than it was trained for.
#include "longview/base/text_format.h"
#include "longview/eval/needle.h"
#include "longview/eval/repeat.h"
#include "tools/questions.h"

namespace longview::tools {
namespace {

struct EvalCommand : QuestionsCommand {
  std::string task, lengths = "4k,8k,16k,32k", depths = "0,25,50,75,100";
  int64_t trials = 1, seed = 0, period = 0;
};

const std::vector<std::string>& tasks() {
  static const std::vector<std::string> all{"needle", "passkey", "questions", "repeat"};
  return all;
}

std::vector<double> depths_of(const std::string& text) {
  std::vector<double> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    out.push_back(to_real("eval", "--depths", text.substr(begin, end - begin)));
    LV_CHECK(out.back() >= 0 && out.back() <= 100, "[eval] --depths are percents from 0 to 100; got '{}'", text);
    begin = end + 1;
  }
  LV_CHECK(!out.empty(), "[eval] --depths needs at least one");
  return out;
}

Text book_of(const EvalCommand& command, const Tokenizer& tokenizer) {
  std::vector<Document> documents;
  documents.emplace_back(command.book.empty() ? default_book() : text_path(command.book, {command.json}));
  return tokenize(documents, tokenizer, 0);
}

/// Full attention without scaling, or what the model was made for.
std::string usual_method(const Transformer& model) { return model.config().attention.empty() ? "none" : model.config().attention; }

/// Passkey or needle: found of tried, by length.
Json find_all(const EvalCommand& command, const Opened& opened) {
  const auto lengths = parse_edges("eval", command.lengths);
  const auto depths = depths_of(command.depths);
  const Text book = command.task == "needle" ? book_of(command, *opened.tokenizer) : Text{};
  const auto methods = labelled_methods(*opened.model, command.methods, command.list, {usual_method(*opened.model)});
  TextTable table{{{"method", TextTable::Align::left}}, {}};
  for (const int64_t length : lengths) table.columns.push_back({with_commas(length)}), table.columns.push_back({"nats"});
  Json rows = Json::array();
  const auto total = static_cast<int64_t>(methods.size() * lengths.size() * depths.size()) * command.trials;
  Progress progress(total, "prompts", progress_output(command));
  int64_t done = 0;
  for (const auto& [label, method] : methods) {
    std::vector<std::string> cells{label};
    for (const int64_t length : lengths) {
      int64_t found = 0, tried = 0;
      double nll = 0;
      Json by_depth = Json::array();
      for (const double depth : depths) {
        int64_t here = 0;
        double loss = 0;
        for (int64_t trial = 0; trial < command.trials && !interrupted(); ++trial) {
          const auto seed = static_cast<uint64_t>(command.seed + trial) * 1000003 +
                            static_cast<uint64_t>(depth * 1009 + static_cast<double>(length));
          const auto prompt = needle_prompt({command.task, length, depth / 100, seed, book.ids}, *opened.tokenizer);
          const auto result = find_needle(*opened.model, method, *opened.tokenizer, prompt, command.chunk);
          here += result.is_found, loss += result.answer_nll, ++tried;
          progress.update(++done, fmt::format("{} at {}: {}", label, with_commas(length), result.is_found ? "found" : "not found"));
        }
        found += here, nll += loss;
        by_depth.push_back({{"depth", depth / 100},
                            {"found", here},
                            {"tried", command.trials},
                            {"answer_nll", loss / static_cast<double>(command.trials)}});
      }
      cells.push_back(fmt::format("{}/{}", found, tried));
      cells.push_back(fmt::format("{:.2f}", nll / static_cast<double>(std::max<int64_t>(tried, 1))));
      rows.push_back({{"label", label},
                      {"position", method.position->setting},
                      {"attention", method.attention->setting},
                      {"length", length},
                      {"found", found},
                      {"tried", tried},
                      {"answer_nll", nll / static_cast<double>(std::max<int64_t>(tried, 1))},
                      {"depths", by_depth}});
    }
    table.rows.push_back(std::move(cells));
  }
  progress.finish();
  print(command, table.text() + "  found of tried, and nats a token of the right answer\n");
  return rows;
}

/// Su's columns: accuracy of the next token inside a text that repeats itself and inside one that does not, from the first repetition on.
Json repeat(const EvalCommand& command, const Opened& opened) {
  const auto lengths = parse_edges("eval", command.lengths);
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

void eval(const EvalCommand& command) {
  interrupted();
  LV_CHECK(std::find(tasks().begin(), tasks().end(), command.task) != tasks().end(), "[eval] {}",
           unknown_name("task", command.task, tasks()));
  LV_CHECK(command.trials >= 1 && command.chunk >= 1, "[eval] --trials and --chunk must be at least 1; got {} and {}",
           command.trials, command.chunk);
  parse_edges("eval", command.lengths);
  check_writable("--json", command.json);
  const Opened opened = open_model(command);
  const Json rows = command.task == "repeat"      ? repeat(command, opened)
                    : command.task == "questions" ? ask_questions(command, opened)
                                                  : find_all(command, opened);
  write_json(command, {{"task", command.task},
                       {"model", opened.model->config().name},
                       {"trained_length", opened.model->config().trained_length},
                       {"seed", command.seed},
                       {"rows", rows},
                       {"interrupted", interrupted().load()}});
}

}  // namespace

void add_eval(CLI::App& program) {
  auto command = std::make_shared<EvalCommand>();
  auto* app = program.add_subcommand("eval", "what a model finds or copies in long texts: passkey, needle, repeat, questions");
  app->add_option("task", command->task,
                  "passkey: a number in repeated sentences; needle: in a book; repeat: a text that repeats itself; questions: "
                  "about the documents of a file")
      ->type_name("TASK")
      ->required();
  app->add_option("book", command->book, "text for needle and repeat (none: the demo book), file of questions")->type_name("FILE");
  add_model_options(*app, *command);
  app->add_option("--methods", command->list, "methods, as `longview compare` takes them")->type_name("A,B,...");
  app->add_option("--method", command->methods, "one more method; may be repeated")
      ->type_name("POSITION+ATTENTION")
      ->allow_extra_args(false);
  app->add_option("--lengths", command->lengths, "tokens of the whole prompt (4k,8k,16k,32k)")->type_name("N,N,...");
  app->add_option("--depths", command->depths, "where the sentence stands, in percent (0,25,50,75,100)")->type_name("P,P,...");
  add_count(*app, "--trials", command->trials, "prompts for each length and depth (1)");
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
