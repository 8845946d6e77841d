// longview read BOOK...: streams texts through a model in bounded memory; loss by position, speed, memory.
#include <chrono>

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
  for (const auto& text : command.methods) out.push_back(parse_method(model, text, "full"));
  if (out.empty())
    out.push_back(model.method(command.position, command.attention.empty() ? bounded_attention(model) : command.attention));
  return out;
}

std::vector<int64_t> edges_of(const std::string& text) {
  std::vector<int64_t> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    out.push_back(to_int("read", "--buckets", text.substr(begin, end - begin)));
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

Json json_of(const ReadResult& result, const ReadRun& run, const std::string& book, const Method& method,
             const ModelConfig& config) {
  Json buckets = Json::array();
  for (const auto& bucket : result.buckets)
    buckets.push_back({{"from", bucket.from}, {"to", bucket.to}, {"tokens", bucket.tokens}, {"nll", bucket.nll}});
  return {{"book", book},
          {"model", config.name},
          {"trained_length", config.trained_length},
          {"position", method.position->setting},
          {"attention", method.attention->setting},
          {"tokens", result.tokens},
          {"nll", result.nll},
          {"perplexity", std::exp(result.nll)},
          {"buckets", buckets},
          {"tokens_per_second", run.tokens_per_second},
          {"seconds", run.seconds},
          {"state_bytes", run.state_bytes},
          {"rss_peak_bytes", run.rss_peak_bytes},
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

Done read_one(const ReadCommand& command, const Opened& opened, const Method& method, const Text& text) {
  const auto& config = opened.model->config();
  const auto bound = method.attention->bound();
  print(command, fmt::format("{}  {} tokens    {}, {}    state {}\n", text.name, with_commas(static_cast<int64_t>(text.ids.size())),
                             method.position->setting, method.attention->setting,
                             bound ? "bounded, whatever the length" : "grows with the text"));
  if (!command.quiet)
    for (const auto& warning : method_warnings(method, config, static_cast<int64_t>(text.ids.size())))
      print(command, "  note: " + warning + "\n");
  Progress progress(static_cast<int64_t>(text.ids.size()), "tokens", progress_on_stderr(command.quiet));
  ReadOptions options{command.chunk, edges_of(command.buckets), [&](int64_t tokens, double nll) {
                        progress.update(tokens, fmt::format("loss {:.2f}", nll));
                        return !interrupted();
                      }};
  Session session;
  Reader reader(*opened.model, method, options, session);
  reader.read(text.ids);
  const ReadResult result = reader.finish();
  progress.finish();
  ReadRun run{method_label(method),
              result.buckets,
              result.tokens,
              result.seconds,
              static_cast<double>(result.tokens) / result.seconds,
              session.state.bytes(),
              rss_peak_bytes(),
              "Remembers " + remembers(method) + "."};
  print(command, bucket_table(result));
  print(command, fmt::format("  loss {:.4f} nats a token, {:.0f} tokens/s, {} of state, {} resident at most{}\n", result.nll,
                             run.tokens_per_second, bytes_text(run.state_bytes), bytes_text(run.rss_peak_bytes),
                             result.is_interrupted ? "; interrupted, so this is what was read so far" : ""));
  if (!command.save.empty()) {
    save_session(command.save, session, method, config, opened.checkpoint.fingerprint, text.name);
    print(command, fmt::format("  saved to {}: longview generate --state {} -p ...\n", command.save, command.save));
  }
  return {run, json_of(result, run, text.name, method, config)};
}

void read(const ReadCommand& command) {
  interrupted();
  LV_CHECK(command.chunk >= 1, "[read] --chunk must be at least 1; got {}", command.chunk);
  LV_CHECK(command.most >= 0, "[read] --max-tokens must not be negative; got {}", command.most);
  LV_CHECK(command.methods.empty() || (command.position.empty() && command.attention.empty()),
           "[read] give either --method, or --rope-scaling and --attention");
  std::vector<std::vector<Document>> groups;
  for (const auto& book : command.books) {
    if (groups.empty() || !command.join) groups.emplace_back();
    groups.back().emplace_back(std::filesystem::path(book));
  }
  if (groups.empty()) groups.push_back({Document(default_book())});
  const Opened opened = open_model(command);
  const auto methods = methods_of(command, *opened.model);
  LV_CHECK(command.save.empty() || (groups.size() == 1 && methods.size() == 1),
           "[read] --save keeps one state: give one method and one book, or --join");
  Json runs = Json::array();
  std::vector<ReadRun> shown;
  std::string names;
  for (const auto& group : groups) {
    const Text text = tokenize(group, *opened.tokenizer, command.most);
    names += (names.empty() ? "" : ", ") + text.name;
    for (const auto& method : methods) {
      if (interrupted()) break;
      Done done = read_one(command, opened, method, text);
      if (groups.size() > 1) done.run.label = text.name + ": " + done.run.label;
      shown.push_back(done.run);
      runs.push_back(done.json);
    }
  }
  const auto& config = opened.model->config();
  print(command, read_lead(shown, config.trained_length).front() + "\n");
  if (!command.report.empty()) {
    auto facts = run_facts(command);
    facts.push_back({"seconds in all", fmt::format("{:.0f}", [&] {
                       double sum = 0;
                       for (const auto& run : shown) sum += run.seconds;
                       return sum;
                     }())});
    write_file(command.report, html(read_report(shown, {names, config.name, config.trained_length, facts})));
    print(command, "Report: " + command.report + "\n");
  }
  write_json(command, runs.size() == 1 ? runs[0] : Json{{"runs", runs}});
}

}  // namespace

void add_read(CLI::App& program) {
  auto command = std::make_shared<ReadCommand>();
  auto* app = program.add_subcommand("read", "stream texts through a model in bounded memory: loss by position, speed, memory");
  app->add_option("book", command->books, "text files; none: the demo book");
  add_model_options(*app, *command);
  add_method_options(*app, *command);
  app->add_option("--method", command->methods,
                  "POSITION+ATTENTION, either alone too (yarn:factor=4, dynamic+full); repeat to compare");
  app->add_option("--max-tokens", command->most, "read at most this many tokens of each text; 0: all");
  app->add_option("--chunk", command->chunk, "tokens read at once");
  app->add_option("--buckets", command->buckets, "where the buckets of the loss begin: 0,4k,8k,16k");
  app->add_option("--save", command->save, "keep the state in a file, for longview generate --state");
  app->add_flag("--join", command->join, "read the books as one text");
  app->add_option("--report", command->report, "write a page with the loss by position");
  app->callback([command] { read(*command); });
}

}  // namespace longview::tools
