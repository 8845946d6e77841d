// longview read BOOK...: streams texts through a model in bounded memory; loss by position, speed, memory.
#include "longview/base/progress.h"
#include "longview/base/text_format.h"
#include "longview/report/verdict.h"
#include "tools/program.h"

namespace longview::tools {
namespace {

struct ReadCommand : SharedOptions {
  std::vector<std::string> books, methods;
  std::string save, buckets;
  int64_t most = 0, chunk = 512;
  bool join = false;
};

/// "yarn:factor=4+streaming:window=1024": names of either registry, joined by '+'.
Method parse_method(const Transformer& model, const std::string& text, const std::string& attention_otherwise) {
  std::string position, attention;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('+', begin), text.size());
    const std::string part = text.substr(begin, end - begin), name = parse_setting(part).name;
    const auto known = names(attentions());
    std::string& side = std::find(known.begin(), known.end(), name) != known.end() ? attention : position;
    LV_CHECK(side.empty(), "[method] '{}' names two methods of one kind: {} and {}", text, side, part);
    side = part;
    begin = end + 1;
  }
  return model.method(position, attention.empty() ? attention_otherwise : attention);
}

std::vector<Method> methods_of(const ReadCommand& command, const Transformer& model) {
  std::vector<Method> out;
  const auto& config = model.config();
  const std::string attention = asked_attention(command, config);
  for (const auto& text : command.methods) out.push_back(parse_method(model, text, "full"));
  if (out.empty())
    out.push_back(model.method(asked_position(command, config), attention.empty() ? bounded_attention(model) : attention));
  return out;
}

std::vector<int64_t> edges_of(const std::string& text) {
  std::vector<int64_t> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    out.push_back(to_int("read", "--buckets", text.substr(begin, end - begin)));
    LV_CHECK(out.back() >= 0 && (out.size() < 2 || out[out.size() - 2] < out.back()),
             "[read] --buckets must begin at 0 or more and grow; got '{}'", text);
    begin = end + 1;
  }
  return out;
}

struct Text {
  std::string name;
  std::vector<Id> ids;
};

struct EnoughTokens {};

/// Ids of documents read as one text, at most `most` (0: all).
Text tokenize(const std::vector<Document>& documents, const Tokenizer& tokenizer, int64_t most) {
  Text out;
  const auto limit = most > 0 ? static_cast<size_t>(most) : SIZE_MAX;
  if (tokenizer.spec().add_bos && tokenizer.spec().bos >= 0) out.ids.push_back(tokenizer.spec().bos);
  for (const auto& document : documents) {
    out.name += (out.name.empty() ? "" : " + ") + document.name();
    try {
      tokenizer.encode(document.text(), Specials::plain, [&](std::span<const Id> ids) {
        out.ids.insert(out.ids.end(), ids.begin(), ids.end());
        if (out.ids.size() >= limit) throw EnoughTokens{};
      });
    } catch (const EnoughTokens&) {
    }
  }
  if (out.ids.size() > limit) out.ids.resize(limit);
  LV_CHECK(!out.ids.empty(), "[read] {} has no tokens", out.name);
  return out;
}

std::string remembers(const Method& method) {
  return std::string(find(attentions(), "attention", parse_setting(method.attention->setting).name).remembers);
}

/// Resident memory after a tenth of the text and at its end: whether reading takes more the longer the text is.
struct MemoryTrace {
  int64_t tenth = 0, end = 0;  // bytes
};

Json json_of(const ReadResult& result, const ReadRun& run, const MemoryTrace& memory, const std::string& book, const Method& method,
             const ModelConfig& config) {
  const bool is_scored = result.predicted > 0;  // one token alone predicts nothing
  Json buckets = Json::array();
  for (const auto& bucket : result.buckets)
    buckets.push_back({{"from", bucket.from},
                       {"to", bucket.to},
                       {"tokens", bucket.tokens},
                       {"nll", bucket.nll},
                       {"seconds", bucket.seconds}});
  return {{"book", book},
          {"model", config.name},
          {"trained_length", config.trained_length},
          {"position", method.position->setting},
          {"attention", method.attention->setting},
          {"tokens", result.tokens},
          {"nll", is_scored ? Json(result.nll) : Json()},
          {"perplexity", is_scored ? Json(std::exp(result.nll)) : Json()},
          {"buckets", buckets},
          {"tokens_per_second", run.tokens_per_second},
          {"seconds", run.seconds},
          {"state_bytes", run.state_bytes},
          {"rss_peak_bytes", run.rss_peak_bytes},
          {"rss_tenth_bytes", memory.tenth},
          {"rss_end_bytes", memory.end},
          {"interrupted", result.is_interrupted}};
}

std::string bucket_table(const ReadResult& result) {
  double most = 0;
  for (const auto& bucket : result.buckets) most = std::max(most, bucket.nll);
  TextTable table{{{"position"}, {"tokens"}, {"loss"}, {"", TextTable::Align::left}}, {}};
  for (const auto& bucket : result.buckets)
    table.rows.push_back({fmt::format("{} - {:>9}", with_commas(bucket.from), with_commas(bucket.to)), with_commas(bucket.tokens),
                          fmt::format("{:.3f}", bucket.nll), bar_text(bucket.nll, most, 24, locale_is_utf8())});
  return table.text();
}

struct Done {
  ReadRun run;
  Json json;
};

/// On a terminal one line that is redrawn; in a pipe plain lines, set in like the rest of what belongs to a text.
ProgressOutput progress_output(const ReadCommand& command) {
  ProgressOutput out = progress_on_stderr(command.quiet);
  if (!out.terminal) out.write = [write = out.write](std::string_view line) { write("  " + std::string(line)); };
  return out;
}

void announce(const ReadCommand& command, const Method& method, const Text& text, const ModelConfig& config) {
  const auto count = static_cast<int64_t>(text.ids.size());
  const auto bound = method.attention->bound();
  print(command, fmt::format("{}  {} tokens    {}    state {}\n", text.name, with_commas(count), method_text(method),
                             bound ? "bounded, whatever the length" : "grows with the text"));
  for (const auto& warning : method_warnings(method, config, count)) note(command, "  note: " + warning);
}

ReadRun run_of(const ReadResult& result, const Method& method, const Session& session) {
  ReadRun run;
  run.label = method_label(method);
  run.buckets = result.buckets;
  run.tokens = result.tokens;
  run.seconds = result.seconds;
  run.tokens_per_second = result.seconds > 0 ? static_cast<double>(result.tokens) / result.seconds : 0;
  run.state_bytes = session.state.bytes();
  run.rss_peak_bytes = rss_peak_bytes();
  run.note = "Remembers " + remembers(method) + ".";
  return run;
}

Done read_one(const ReadCommand& command, const Opened& opened, const Method& method, const Text& text) {
  const auto& config = opened.model->config();
  announce(command, method, text, config);
  reset_rss_peak();
  MemoryTrace memory;
  const auto total = static_cast<int64_t>(text.ids.size());
  Progress progress(total, "tokens", progress_output(command));
  ReadOptions options{command.chunk, edges_of(command.buckets), [&](int64_t tokens, double nll) {
                        if (memory.tenth == 0 && tokens >= total / 10) memory.tenth = rss_bytes();
                        progress.update(tokens, fmt::format("loss {:.2f}", nll));
                        return !interrupted();
                      }};
  Session session;
  Reader reader(*opened.model, method, options, session);
  reader.read(text.ids);
  const ReadResult result = reader.finish();
  progress.finish();
  memory.end = rss_bytes();
  const ReadRun run = run_of(result, method, session);
  print(command, bucket_table(result));
  print(command,
        fmt::format("  {} nats a token, {} tokens/s, {} of state, {} resident at most ({} after a tenth, {} at the end){}\n",
                    result.predicted > 0 ? fmt::format("loss {:.4f}", result.nll) : "nothing was scored, no",
                    with_commas(run.tokens_per_second, run.tokens_per_second < 10 ? 1 : 0), bytes_text(run.state_bytes),
                    bytes_text(run.rss_peak_bytes), bytes_text(memory.tenth), bytes_text(memory.end),
                    result.is_interrupted ? "; interrupted: this is what was read so far" : ""));
  if (!command.save.empty()) {
    save_session(command.save, session, method, config, opened.checkpoint.fingerprint, text.name);
    print(command, fmt::format("  saved to {}; go on with: longview generate --state {}\n", command.save, command.save));
  }
  return {run, json_of(result, run, memory, text.name, method, config)};
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
  const bool is_asked = !command.position.empty() || !command.attention.empty() || command.context || command.keep ||
                        command.yarn_original || command.rope_base || command.rope_scale;
  LV_CHECK(command.methods.empty() || !is_asked, "[read] give either --method, or --rope-scaling and --attention");
  edges_of(command.buckets);
  check_writable("--save", command.save);
  check_writable("--report", command.report);
  check_writable("--json", command.json);
}

void write_report(const ReadCommand& command, const std::vector<ReadRun>& runs, const std::string& texts,
                  const ModelConfig& config) {
  if (command.report.empty()) return;
  double seconds = 0;
  for (const auto& run : runs) seconds += run.seconds;
  auto facts = run_facts(command);
  facts.push_back({"seconds in all", fmt::format("{:.0f}", seconds)});
  write_file(command.report, html(read_report(runs, {texts, config.name, config.trained_length, facts})));
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
  const auto methods = methods_of(command, *opened.model);
  LV_CHECK(command.save.empty() || (groups.size() == 1 && methods.size() == 1),
           "[read] --save keeps one state: give one method and one book, or --join");
  Json runs = Json::array();
  std::vector<ReadRun> shown;
  std::string names;
  for (const auto& group : groups) {
    if (interrupted() && !shown.empty()) break;
    const Text text = tokenize(group, *opened.tokenizer, command.most);
    names += (names.empty() ? "" : ", ") + text.name;
    for (const auto& method : methods) {
      if (interrupted() && !shown.empty()) break;
      Done done = read_one(command, opened, method, text);
      if (groups.size() > 1) done.run.label = text.name + ": " + done.run.label;
      shown.push_back(done.run);
      runs.push_back(done.json);
    }
  }
  print(command, summary(shown, opened.model->config().trained_length) + "\n");
  write_report(command, shown, names, opened.model->config());
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
  app->add_option("--save", command->save, "keep the state in a file, for longview generate --state")->type_name("FILE");
  app->add_flag("--join", command->join, "read the books as one text");
  app->add_option("--report", command->report, "write a page with the loss by position")->type_name("FILE.html");
  app->footer("Ctrl-C stops reading and keeps what was read so far.\n");
  app->callback([command] { read(*command); });
}

}  // namespace longview::tools
