// longview compare BOOK...: every method that makes sense on this model and text, side by side, and which one to use.
#include <numeric>

#include "longview/base/text_format.h"
#include "longview/report/verdict.h"
#include "tools/reading.h"

namespace longview::tools {
namespace {

struct CompareCommand : SharedOptions {
  std::vector<std::string> books, methods;
  std::string list, lengths;
  int64_t most = 0, chunk = 512;
  bool is_markdown = false;
};

/// What is compared when nothing is asked for: N the trained length, L the longest text.
std::vector<std::string> usual_methods(int64_t N, int64_t L) {
  const int64_t factor = std::max<int64_t>((L + N - 1) / N, 2), half = N / 2, quarter = N / 4;
  int64_t group = 4;  // so that the farthest position stays well inside the trained length
  while (quarter + (L - quarter) / group > N * 3 / 4) group *= 2;
  std::vector<std::string> out{"none"};
  for (const char* name : {"linear", "ntk", "ntk_mixed", "ntk_by_parts", "yarn", "longrope"})
    out.push_back(fmt::format("{}:factor={}", name, factor));
  out.push_back(fmt::format("resonance:over=yarn,factor={}", factor));
  out.push_back(fmt::format("llama3:factor={},original={}", factor, N));
  for (const char* setting : {"abf", "dynamic", "dynamic:logn=clipped", "dynamic_yarn", "auto", "dual_chunk"})
    out.emplace_back(setting);
  for (const auto& window : {half, N / 8}) out.push_back(fmt::format("rerope:window={}", window));
  out.push_back(fmt::format("rerope:window={},logn=clipped", half));
  out.push_back(fmt::format("leaky_rerope:window={},factor={}", half, 2 * factor));
  out.push_back(fmt::format("leaky_rerope:window={},factor={},logn=clipped", half, 2 * factor));
  out.push_back(fmt::format("self_extend:window={},group={}", quarter, group));
  out.push_back("super_baseline");
  for (const char* name : {"window", "streaming", "lm_infinite"}) out.push_back(fmt::format("{}:window={}", name, quarter));
  out.emplace_back("streaming");
  return out;
}

struct Compared {
  std::string label;  // as it was asked for
  Method method;
  ReadRun run;                           // means over the books
  std::vector<std::vector<double>> nll;  // [book][bucket]
  Json runs = Json::array();
  double last_quarter = 0;
};

double mean(const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size()); }

/// Standard error of the mean; nothing for one value.
std::optional<double> standard_error(const std::vector<double>& x) {
  if (x.size() < 2) return std::nullopt;
  double sum = 0;
  for (const double value : x) sum += (value - mean(x)) * (value - mean(x));
  return std::sqrt(sum / static_cast<double>(x.size() - 1) / static_cast<double>(x.size()));
}

std::vector<double> differences(const Compared& row, const Compared& other, size_t bucket) {
  std::vector<double> out;
  for (size_t book = 0; book < row.nll.size(); ++book) out.push_back(row.nll[book][bucket] - other.nll[book][bucket]);
  return out;
}

struct Comparison {
  std::vector<int64_t> edges;  // where the buckets begin
  int64_t longest = 0, trained = 0;
  std::vector<std::string> books;
  std::vector<Compared> rows;
  const Compared* plain = nullptr;      // the model as it is
  const Compared* reference = nullptr;  // sinks and a window: what differences are against
};

std::vector<int64_t> comparison_edges(const CompareCommand& command, int64_t trained, int64_t longest) {
  std::vector<int64_t> out{0};
  if (!command.lengths.empty()) out = parse_edges("compare", "0," + command.lengths);
  else
    for (const int64_t edge : {trained, trained * 3 / 2, trained * 2, trained * 3, trained * 4, trained * 8, trained * 16})
      out.push_back(edge);
  out.push_back(longest * 3 / 4);
  std::erase_if(out, [&](int64_t edge) { return edge >= longest; });
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

/// The mean loss of the tokens from `from` on.
double tail(const ReadRun& run, int64_t from) {
  double sum = 0, tokens = 0;
  for (const auto& bucket : run.buckets)
    if (bucket.from >= from) sum += bucket.nll * static_cast<double>(bucket.tokens), tokens += static_cast<double>(bucket.tokens);
  return tokens > 0 ? sum / tokens : std::numeric_limits<double>::quiet_NaN();
}

double inside(const Compared& row, int64_t trained) {
  double sum = 0, tokens = 0;
  for (const auto& bucket : row.run.buckets)
    if (bucket.to <= trained) sum += bucket.nll * static_cast<double>(bucket.tokens), tokens += static_cast<double>(bucket.tokens);
  return tokens > 0 ? sum / tokens : std::numeric_limits<double>::quiet_NaN();
}

/// Joins another book's reading of the same length.
void add(Compared& row, const Reading& reading) {
  const auto& run = reading.run;
  std::vector<double> nll;
  for (const auto& bucket : run.buckets) nll.push_back(bucket.nll);
  const auto n = static_cast<double>(row.nll.size());
  if (row.nll.empty()) row.run = run;
  LV_CHECK(row.run.buckets.size() == run.buckets.size(), "[compare] the books differ in length; give --max-tokens that all have");
  for (size_t b = 0; b < run.buckets.size(); ++b)
    row.run.buckets[b].nll = (row.run.buckets[b].nll * n + run.buckets[b].nll) / (n + 1);
  if (!row.nll.empty()) {
    row.run.seconds += run.seconds, row.run.tokens += run.tokens;
    row.run.rss_peak_bytes = std::max(row.run.rss_peak_bytes, run.rss_peak_bytes);
  }
  row.run.tokens_per_second = row.run.seconds > 0 ? static_cast<double>(row.run.tokens) / row.run.seconds : 0;
  row.nll.push_back(std::move(nll));
  row.runs.push_back(reading.json);
}

std::string signed_text(double x) { return std::abs(x) < 5e-7 ? "same" : fmt::format("{:+.3f}", x); }

bool is_unchanged(const Comparison& all, const Compared& row) {
  return all.plain != nullptr && std::abs(inside(row, all.trained) - inside(*all.plain, all.trained)) < 5e-7;
}

std::string options_text(const Compared& row) {
  return fmt::format("--rope-scaling {} --attention {}", row.method.position->setting, row.method.attention->setting);
}

struct Recommendation {
  const Compared *best = nullptr, *bounded = nullptr, *faithful = nullptr;
};

/// Lowest loss at the longest texts; among those that are level with it (0.01 nats) one that leaves the model as it is inside the
/// trained length, then the one whose state is smallest.
Recommendation recommend(const Comparison& all) {
  constexpr double kLevelHere = 0.01;
  const auto pick = [&](const auto& may) {
    const Compared* best = nullptr;
    for (const auto& row : all.rows)
      if (may(row) && (best == nullptr || row.last_quarter < best->last_quarter)) best = &row;
    if (best == nullptr) return best;
    const double bound = best->last_quarter + kLevelHere;
    const auto rank = [&](const Compared& row) { return std::pair(is_unchanged(all, row) ? 0 : 1, row.run.state_bytes); };
    for (const auto& row : all.rows)
      if (may(row) && row.last_quarter <= bound && rank(row) < rank(*best)) best = &row;
    return best;
  };
  Recommendation out;
  out.best = pick([](const Compared&) { return true; });
  out.bounded = pick([](const Compared& row) { return row.method.attention->bound().has_value(); });
  out.faithful = pick([&](const Compared& row) { return is_unchanged(all, row); });
  return out;
}

std::string reason(const Comparison& all, const Compared& row) {
  const bool is_bounded = row.method.attention->bound().has_value();
  return fmt::format("loss {:.3f} over the last quarter of {} tokens; {}; inside the trained length {}", row.last_quarter,
                     with_commas(all.longest),
                     is_bounded ? fmt::format("{} of state, whatever the length", bytes_text(row.run.state_bytes))
                                : fmt::format("{} of state, growing with the text", bytes_text(row.run.state_bytes)),
                     is_unchanged(all, row) ? "the model is unchanged"
                     : all.plain == nullptr
                         ? "not compared with the model as it is"
                         : fmt::format("the loss changes by {:+.3f}", inside(row, all.trained) - inside(*all.plain, all.trained)));
}

std::string advice(const Comparison& all) {
  const Recommendation found = recommend(all);
  std::string out = fmt::format("Recommended: {}\n  {}.\n", options_text(*found.best), reason(all, *found.best));
  if (found.bounded != nullptr && found.bounded != found.best)
    out += fmt::format("In bounded memory: {}\n  {}.\n", options_text(*found.bounded), reason(all, *found.bounded));
  if (found.faithful != nullptr && found.faithful != found.best && found.faithful != found.bounded)
    out += fmt::format("Unchanged inside the trained length: {}\n  {}.\n", options_text(*found.faithful),
                       reason(all, *found.faithful));
  if (all.reference != nullptr && all.reference != found.best && !found.best->method.attention->bound()) {
    const auto last = differences(*found.best, *all.reference, all.edges.size() - 1);
    const auto error = standard_error(last);
    out += fmt::format("Against {} the last {} tokens cost {:+.3f}{} nats each: {}.\n", all.reference->label,
                       with_commas(all.longest - all.edges.back()), mean(last), error ? fmt::format(" (± {:.3f})", *error) : "",
                       mean(last) < -2 * error.value_or(0.005) ? "it uses what the window has forgotten"
                                                               : "the far text brings nothing that can be told from noise");
  }
  return out;
}

std::string bucket_name(const Comparison& all, size_t b) {
  const int64_t end = b + 1 < all.edges.size() ? all.edges[b + 1] : all.longest;
  const auto short_count = [](int64_t n) { return n == 0 ? "0" : n % 1024 == 0 ? fmt::format("{}K", n / 1024) : with_commas(n); };
  return fmt::format("{}-{}", short_count(all.edges[b]), short_count(end));
}

std::string comparison_table(const Comparison& all) {
  TextTable out{{{"method", TextTable::Align::left}}, {}};
  for (size_t b = 0; b < all.edges.size(); ++b) out.columns.push_back({bucket_name(all, b)});
  for (const char* name : {"last quarter", "inside", "tokens/s", "state", "peak"}) out.columns.push_back({name});
  for (const auto& row : all.rows) {
    std::vector<std::string> cells{row.label};
    for (const auto& bucket : row.run.buckets) cells.push_back(fmt::format("{:.3f}", bucket.nll));
    cells.push_back(fmt::format("{:.3f}", row.last_quarter));
    cells.push_back(all.plain == nullptr ? "" : signed_text(inside(row, all.trained) - inside(*all.plain, all.trained)));
    cells.push_back(with_commas(row.run.tokens_per_second, 0));
    cells.push_back(bytes_text(row.run.state_bytes));
    cells.push_back(bytes_text(row.run.rss_peak_bytes));
    out.rows.push_back(std::move(cells));
  }
  return out.text();
}

/// The same as a page's table, with differences to the reference and their standard errors over the books.
std::string markdown(const Comparison& all) {
  std::string out = "| method |";
  for (size_t b = 0; b < all.edges.size(); ++b) out += fmt::format(" {} |", bucket_name(all, b));
  out += " tokens/s | state |\n|---|";
  for (size_t b = 0; b < all.edges.size() + 2; ++b) out += "---|";
  for (const auto& row : all.rows) {
    out += fmt::format("\n| `{}` |", row.label);
    for (size_t b = 0; b < all.edges.size(); ++b) {
      out += fmt::format(" {:.3f}", row.run.buckets[b].nll);
      if (all.reference == nullptr || &row == all.reference) out += " |";
      else {
        const auto difference = differences(row, *all.reference, b);
        const auto error = standard_error(difference);
        out += fmt::format(" ({:+.3f}{}) |", mean(difference), error ? fmt::format(" ± {:.3f}", *error) : "");
      }
    }
    out += fmt::format(" {} | {} |", with_commas(row.run.tokens_per_second, 0), bytes_text(row.run.state_bytes));
  }
  return out + "\n";
}

Json json_of(const Comparison& all, const ModelConfig& config) {
  Json methods = Json::array();
  for (const auto& row : all.rows) {
    Json buckets = Json::array();
    for (size_t b = 0; b < all.edges.size(); ++b)
      buckets.push_back({{"from", row.run.buckets[b].from}, {"to", row.run.buckets[b].to}, {"nll", row.run.buckets[b].nll}});
    methods.push_back(
        {{"label", row.label},
         {"position", row.method.position->setting},
         {"attention", row.method.attention->setting},
         {"buckets", buckets},
         {"last_quarter_nll", row.last_quarter},
         {"inside_difference", all.plain == nullptr ? Json() : Json(inside(row, all.trained) - inside(*all.plain, all.trained))},
         {"bounded", row.method.attention->bound().has_value()},
         {"tokens_per_second", row.run.tokens_per_second},
         {"state_bytes", row.run.state_bytes},
         {"rss_peak_bytes", row.run.rss_peak_bytes},
         {"runs", row.runs}});
  }
  const Compared& best = *recommend(all).best;
  return {
      {"model", config.name},
      {"trained_length", config.trained_length},
      {"books", all.books},
      {"tokens", all.longest},
      {"methods", methods},
      {"recommendation",
       {{"position", best.method.position->setting}, {"attention", best.method.attention->setting}, {"reason", reason(all, best)}}},
      {"interrupted", interrupted().load()}};
}

void find_references(Comparison& all, const Transformer& model) {
  const std::string own = model.method("", "full").position->setting;
  all.plain = all.reference = nullptr;
  for (const auto& row : all.rows) {
    const auto bound = row.method.attention->bound();
    if (all.plain == nullptr && row.method.position->setting == own && !bound) all.plain = &row;
    const bool has_sinks = parse_setting(row.method.attention->setting).name == "streaming";
    if (has_sinks && row.method.position->setting == own && *bound < all.trained) all.reference = &row;
  }
}

void compare(const CompareCommand& command) {
  interrupted();
  LV_CHECK(command.chunk >= 1, "[compare] --chunk must be at least 1; got {}", command.chunk);
  LV_CHECK(command.most >= 0, "[compare] --max-tokens must not be negative; got {}", command.most);
  check_writable("--report", command.report);
  check_writable("--json", command.json);
  std::vector<Document> documents;
  for (const auto& book : command.books) documents.emplace_back(text_path(book, {command.report, command.json}));
  if (documents.empty()) documents.emplace_back(default_book());
  const Opened opened = open_model(command);
  const auto& config = opened.model->config();
  Comparison all;
  all.trained = config.trained_length;
  const auto asked_edges = command.lengths.empty() ? std::vector<int64_t>{} : parse_edges("compare", command.lengths);
  all.longest = command.most > 0 ? command.most : !asked_edges.empty() ? asked_edges.back() : 4 * all.trained;
  std::vector<Text> texts;
  for (auto& document : documents) {
    texts.push_back(tokenize({std::move(document)}, *opened.tokenizer, all.longest));
    all.books.push_back(texts.back().name);
  }
  for (const auto& text : texts) all.longest = std::min(all.longest, static_cast<int64_t>(text.ids.size()));
  for (auto& text : texts) text.ids.resize(static_cast<size_t>(all.longest));
  LV_CHECK(all.longest >= 8, "[compare] the shortest text has {} tokens; give longer ones", all.longest);
  all.edges = comparison_edges(command, all.trained, all.longest);
  const auto methods = labelled_methods(*opened.model, command.methods, command.list, usual_methods(all.trained, all.longest));
  print(command, fmt::format("{} methods, {} text{} of {} tokens each\n", methods.size(), texts.size(), texts.size() > 1 ? "s" : "",
                             with_commas(all.longest)));
  size_t run = 0;
  for (const auto& [label, method] : methods) {
    Compared row{label, method, {}, {}, Json::array(), 0};
    for (const auto& text : texts) {
      if (interrupted()) break;
      note(command, fmt::format("run {} of {}: {}, {}", ++run, methods.size() * texts.size(), label, text.name));
      const Reading reading = read_text(command, opened, method, text, {.chunk = command.chunk, .edges = all.edges});
      if (!interrupted()) add(row, reading);
    }
    if (row.nll.size() != texts.size()) break;  // interrupted: what is not complete is not compared
    row.run.label = label;
    row.last_quarter = tail(row.run, all.longest * 3 / 4);
    all.rows.push_back(std::move(row));
    find_references(all, *opened.model);
    if (command.json != "-") write_json(command, json_of(all, config));  // what is done is not lost
  }
  LV_CHECK(!all.rows.empty(), "[compare] interrupted before the first method was done");
  print(command, command.is_markdown ? markdown(all) : comparison_table(all));
  print(command, advice(all));
  if (!command.report.empty()) {
    std::vector<ReadRun> runs;
    for (const auto& row : all.rows) runs.push_back(row.run);
    std::string names;
    for (const auto& name : all.books) names += (names.empty() ? "" : ", ") + name;
    Page page = read_report(runs, {names, config.name, config.trained_length, model_run_facts(command)});
    page.lead.insert(page.lead.begin() + 1, advice(all));
    write_file(command.report, html(page));
    print(command, "Report: " + command.report + "\n");
  }
  if (command.json == "-") write_json(command, json_of(all, config));
}

}  // namespace

void add_compare(CLI::App& program) {
  auto command = std::make_shared<CompareCommand>();
  auto* app =
      program.add_subcommand("compare", "every method on this model and text: loss by length, speed, memory, and which one to use");
  app->add_option("book", command->books, "text files; none: the demo book")->type_name("FILE");
  add_model_options(*app, *command);
  app->add_option("--methods", command->list,
                  "methods to compare: none,own,yarn:factor=4,rerope+full; all that make sense when left out")
      ->type_name("A,B,...");
  app->add_option("--method", command->methods, "one more method; may be repeated")
      ->type_name("POSITION+ATTENTION")
      ->allow_extra_args(false);
  add_count(*app, "--max-tokens", command->most, "tokens of each text; 0: four times the trained length");
  app->add_option("--lengths", command->lengths, "lengths at which the loss is looked at: 8k,12k,16k")->type_name("N,N,...");
  add_count(*app, "--chunk", command->chunk, "tokens read at once (512)");
  app->add_flag("--markdown", command->is_markdown, "the table as Markdown, with differences to sinks and a window");
  app->add_option("--report", command->report, "write a page with the curves")->type_name("FILE.html");
  app->footer("Ctrl-C stops and compares the methods that are done.\n");
  app->callback([command] { compare(*command); });
}

}  // namespace longview::tools
