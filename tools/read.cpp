// longview read BOOK...: streams texts through a model in bounded memory; loss by position, speed, memory.
#include "longview/base/text_format.h"
#include "longview/report/verdict.h"
#include "tools/reading.h"

namespace longview::tools {
namespace {

struct ReadCommand : SharedOptions {
  std::vector<std::string> books, methods;
  std::string save, state, buckets;
  int64_t most = 0, chunk = 512, period = 0, save_every = 0, memory_budget = 0;
  bool join = false;
};

std::vector<Method> methods_of(const ReadCommand& command, const Transformer& model) {
  std::vector<Method> out;
  const auto& config = model.config();
  const std::string attention = asked_attention(command, config);
  for (const auto& text : command.methods) out.push_back(parse_method(model, text, "full"));
  const std::string position = asked_position(command, config);
  if (out.empty()) out.push_back(model.method(position, attention.empty() ? usual_attention(model, position) : attention));
  return out;
}

std::string bucket_table(const std::vector<LossBucket>& buckets, const char* title) {
  double most = 0;
  for (const auto& bucket : buckets) most = std::max(most, bucket.nll);
  TextTable table{{{title}, {"tokens"}, {"loss"}, {"", TextTable::Align::left}}, {}};
  for (const auto& bucket : buckets)
    table.rows.push_back({fmt::format("{} - {:>9}", with_commas(bucket.from), with_commas(bucket.to)), with_commas(bucket.tokens),
                          fmt::format("{:.3f}", bucket.nll), bar_text(bucket.nll, most, 24, locale_is_utf8())});
  return table.text();
}

void announce(const ReadCommand& command, const Method& method, const Text& text, const ModelConfig& config) {
  const auto count = static_cast<int64_t>(text.ids.size());
  const auto bound = method.attention->bound();
  print(command, fmt::format("{}  {} tokens    {}    state {}\n", text.name, with_commas(count), method_text(method),
                             bound ? "bounded, whatever the length" : "grows with the text"));
  if (const std::string choice = method.position->choice(count); !choice.empty())
    print(command, fmt::format("  {}: {}\n", parse_setting(method.position->setting).name, choice));
  for (const auto& warning : method_warnings(method, config, count)) note(command, "  note: " + warning);
}

/// Throws when the reading would not stay inside --mem-budget.
void check_budget(const ReadCommand& command, const Method& method, const Text& text, const ModelConfig& config) {
  if (command.memory_budget == 0) return;
  const auto tokens = static_cast<int64_t>(text.ids.size());
  const int64_t now = rss_bytes(), work = working_bytes(config, command.chunk), state = state_bytes(method, config, tokens);
  const int64_t growing = method.attention->bound() ? state : 2 * state;  // a cache that grows is copied to twice the room
  LV_CHECK(
      now + work + state + growing <= command.memory_budget,
      "[read] --mem-budget {} is not enough: {} are in use (weights, program, text), reading takes up to {} and the state of {} "
      "tokens up to {} with its copies{}",
      bytes_text(command.memory_budget), bytes_text(now), bytes_text(work), with_commas(tokens), bytes_text(state + growing),
      method.attention->bound() ? "; a smaller window needs less" : "; --attention streaming keeps it bounded");
}

/// Saves now and then, and holds the process to its budget.
std::function<void(const Session&)> watch_of(const ReadCommand& command, const Opened& opened, const Method& method,
                                             const Text& text) {
  return [&, saved = int64_t{0}](const Session& session) mutable {
    const int64_t seen = session.state.seen();
    if (command.save_every > 0 && seen / command.save_every > saved) {
      save_session(command.save, session, method, opened.model->config(), opened.checkpoint.fingerprint, text.name);
      saved = seen / command.save_every;
    }
    LV_CHECK(command.memory_budget == 0 || rss_bytes() <= command.memory_budget,
             "[read] --mem-budget {} was passed after {} tokens; reading was stopped", bytes_text(command.memory_budget),
             with_commas(seen));
  };
}

Reading read_one(const ReadCommand& command, const Opened& opened, const Method& method, const Text& text, Session session) {
  const auto& config = opened.model->config();
  announce(command, method, text, config);
  check_budget(command, method, text, config);
  if (session.state.seen() > 0) print(command, fmt::format("  going on after {} tokens\n", with_commas(session.state.seen())));
  Reading out = read_text(command, opened, method, text,
                          {.chunk = command.chunk,
                           .edges = parse_edges("read", command.buckets),
                           .period = command.period,
                           .session = std::move(session),
                           .watch = watch_of(command, opened, method, text)});
  const ReadRun& run = out.run;
  const Json& json = out.json;
  print(command, bucket_table(run.buckets, "position"));
  if (!run.offsets.empty()) print(command, bucket_table(run.offsets, "offset"));
  print(command,
        fmt::format("  {} nats a token, {} tokens/s, {} of state, {} resident at most ({} after a tenth, {} at the end){}\n",
                    json["nll"].is_null() ? "nothing was scored, no" : fmt::format("loss {:.4f}", json["nll"].get<double>()),
                    with_commas(run.tokens_per_second, run.tokens_per_second < 10 ? 1 : 0), bytes_text(run.state_bytes),
                    bytes_text(run.rss_peak_bytes), bytes_text(json["rss_tenth_bytes"].get<int64_t>()),
                    bytes_text(json["rss_end_bytes"].get<int64_t>()),
                    json["interrupted"].get<bool>() ? "; interrupted: this is what was read so far" : ""));
  if (!command.save.empty()) {
    save_session(command.save, out.session, method, config, opened.checkpoint.fingerprint, text.name);
    print(command, fmt::format("  saved to {}; go on with: longview generate --state {}\n", command.save, command.save));
  }
  return out;
}

/// What the runs show, in one sentence. Of one run that stayed inside the trained length the table has said all but that.
std::string summary(const std::vector<ReadRun>& runs, int64_t trained_length) {
  const auto lead = read_lead(runs, trained_length);
  const auto is_past = [&](const LossBucket& bucket) { return bucket.tokens > 0 && bucket.from >= trained_length; };
  const auto& first = runs.front().buckets;
  return runs.size() > 1 || std::any_of(first.begin(), first.end(), is_past) ? lead.front() : lead.back();
}

void check(const ReadCommand& command) {
  LV_CHECK(command.chunk >= 1, "[read] --chunk must be at least 1; got {}", command.chunk);
  LV_CHECK(command.most >= 0, "[read] --max-tokens must not be negative; got {}", command.most);
  LV_CHECK(command.period >= 0, "[read] --period must not be negative; got {}", command.period);
  const bool is_asked = !command.position.empty() || !command.attention.empty() || command.context || command.keep ||
                        command.yarn_original || command.rope_base || command.rope_scale;
  LV_CHECK(command.methods.empty() || !is_asked, "[read] give either --method, or --rope-scaling and --attention");
  LV_CHECK(command.save_every >= 0 && command.memory_budget >= 0, "[read] --save-every and --mem-budget must not be negative");
  LV_CHECK(command.save_every == 0 || !command.save.empty(), "[read] --save-every needs a file: --save FILE");
  LV_CHECK(command.state.empty() || command.methods.empty(), "[read] --state goes on with its own method: leave --method out");
  parse_edges("read", command.buckets);
  check_writable("--save", command.save);
  check_writable("--report", command.report);
  check_writable("--json", command.json);
}

void write_report(const ReadCommand& command, const std::vector<ReadRun>& runs, const std::string& texts, const Transformer& model,
                  const std::vector<MemorySample>& memory) {
  if (command.report.empty()) return;
  double seconds = 0;
  for (const auto& run : runs) seconds += run.seconds;
  auto facts = model_run_facts(command);
  facts.push_back({"seconds in all", fmt::format("{:.0f}", seconds)});
  const auto& config = model.config();
  Page page = read_report(runs, {texts, config.name, config.trained_length, facts});
  if (!memory.empty())
    for (auto& section : memory_sections(model, memory)) page.sections.insert(page.sections.end() - 1, std::move(section));
  write_file(command.report, html(page));
  print(command, "Report: " + command.report + "\n");
}

/// What is read from an empty state each: every book alone, or all as one.
std::vector<std::vector<Document>> texts_of(const ReadCommand& command) {
  std::vector<std::vector<Document>> out;
  for (const auto& book : command.books) {
    if (out.empty() || !command.join) out.emplace_back();
    out.back().emplace_back(text_path(book, {command.save, command.report, command.json}));
  }
  if (out.empty()) out.push_back({Document(default_book())});
  return out;
}

void read(const ReadCommand& command) {
  interrupted();
  check(command);
  const auto groups = texts_of(command);
  const Opened opened = open_model(command);
  Session begun;
  auto methods = command.state.empty() ? methods_of(command, *opened.model) : std::vector<Method>{};
  if (!command.state.empty()) {
    auto resumed = resume(command, command.state, opened);
    methods = {resumed.method}, begun = std::move(resumed.session);
  }
  LV_CHECK((command.save.empty() && command.state.empty()) || (groups.size() == 1 && methods.size() == 1),
           "[read] --save and --state keep one state: give one method and one book, or --join");
  if (!command.report.empty() && methods.size() == 1 && command.save.empty() && has_memory(methods[0], opened.model->config()))
    methods.push_back(without_memory(methods[0], *opened.model));  // what the memory is worth
  Json runs = Json::array();
  std::vector<ReadRun> shown;
  std::vector<MemorySample> memory;
  std::string names;
  for (const auto& group : groups) {
    if (interrupted() && !shown.empty()) break;
    const Text text = tokenize(group, *opened.tokenizer, command.most);
    names += (names.empty() ? "" : ", ") + text.name;
    for (const auto& method : methods) {
      if (interrupted() && !shown.empty()) break;
      Reading done = read_one(command, opened, method, text, std::exchange(begun, {}));
      if (groups.size() > 1) done.run.label = text.name + ": " + done.run.label;
      if (memory.empty()) memory = done.memory;
      shown.push_back(done.run);
      runs.push_back(done.json);
    }
  }
  print(command, summary(shown, opened.model->config().trained_length) + "\n");
  write_report(command, shown, names, *opened.model, memory);
  write_json(command, runs.size() == 1 ? runs[0] : Json{{"interrupted", interrupted().load()}, {"runs", runs}});
}

}  // namespace

void add_read(CLI::App& program) {
  auto command = std::make_shared<ReadCommand>();
  auto* app = program.add_subcommand("read", "stream texts through a model in bounded memory: loss by position, speed, memory");
  app->add_option("book", command->books, "text files, -: standard input; none: the demo book")->type_name("FILE");
  add_model_options(*app, *command);
  add_method_options(*app, *command);
  app->add_option("--method", command->methods,
                  "position and attention in one, either alone too (yarn:factor=4, dynamic+full); repeat to compare")
      ->type_name("POSITION+ATTENTION")
      ->allow_extra_args(false);
  add_count(*app, "--max-tokens", command->most, "read at most this many tokens of each text; 0: all");
  add_count(*app, "--chunk", command->chunk, "tokens read at once (512)");
  app->add_option("--buckets", command->buckets, "where the buckets of the loss begin: 0,4k,8k,16k")->type_name("N,N,...");
  add_count(*app, "--period", command->period, "also the loss by offset in every N tokens, a memory's segment perhaps");
  app->add_option("--save", command->save, "keep the state in a file, for longview generate --state and read --state")
      ->type_name("FILE");
  add_count(*app, "--save-every", command->save_every, "save that often while reading, in tokens, so that a crash costs no more");
  app->add_option("--state", command->state, "go on from a saved state: the text's tokens that it has read are passed over")
      ->type_name("FILE");
  add_count(*app, "--mem-budget", command->memory_budget, "bytes (512M, 2G) that the process may have: refused at once, or held")
      ->type_name("SIZE");
  app->add_flag("--join", command->join, "read the books as one text");
  app->add_option("--report", command->report, "write a page with the loss by position")->type_name("FILE.html");
  app->footer("Ctrl-C stops reading and keeps what was read so far.\n");
  app->callback([command] { read(*command); });
}

}  // namespace longview::tools
