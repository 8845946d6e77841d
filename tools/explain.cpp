// longview explain: what a method does to a model: wavelengths, effective frequencies, scales, bytes of state, and what to beware of.
#include <fstream>

#include "longview/base/text_format.h"
#include "tools/reading.h"

namespace longview::tools {
namespace {

struct ExplainCommand : SharedOptions {
  int64_t length = 0;
};

struct Pair {
  double before, after;       // wavelengths: tokens a turn
  double turns, turns_after;  // within the trained length before, within the length in question after
};

struct Value {
  std::string name, value, source;
};

struct Explanation {
  Method method;
  int64_t length = 0;
  std::vector<Pair> pairs;
  double scale_first = 1, scale_last = 1;  // of the scores of the first and the last token
  double farthest = 0;                     // largest distance a query sees
  std::vector<Value> values;
  int64_t token_bytes = 0, state_bytes = 0;
  std::optional<int64_t> longest;  // text that fits in the memory that is free
  std::vector<std::string> warnings;
};

int64_t free_bytes() {
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("MemAvailable:", 0) == 0) return std::stoll(line.substr(13)) * 1024;
  return 0;
}

/// Every value of the two settings and who said so.
std::vector<Value> values_of(const ExplainCommand& command, const Method& method, const ModelConfig& config) {
  std::vector<Value> out;
  const std::string asked = asked_position(command, config), attention = asked_attention(command, config);
  const auto add = [&](const std::string& kind, const std::string& setting, const std::string& flag, const std::string& own,
                       const std::string& key) {
    const Setting parsed = parse_setting(setting), said = parse_setting(flag.empty() ? "none" : flag),
                  stored = parse_setting(own.empty() ? "none" : own);
    const bool is_own = flag.empty() && !own.empty();
    out.push_back({kind, parsed.name, !flag.empty() ? "asked for" : is_own ? "checkpoint, " + key : "default"});
    for (const auto& [name, value] : parsed.values)
      out.push_back({fmt::format("{} {}", kind, name), value,
                     said.values.contains(name)               ? "asked for"
                     : is_own && stored.values.contains(name) ? "checkpoint, " + key
                                                              : "default"});
  };
  add("position", method.position->setting, asked == "none" ? "" : asked, asked == "none" ? "" : config.own_position(),
      config.position.empty() ? config.rope_source : "longview_position");
  const std::string window = config.sliding_window > 0 ? fmt::format("window:window={}", config.sliding_window) : "";
  add("attention", method.attention->setting, attention, config.attention.empty() ? window : config.attention,
      config.attention.empty() ? "sliding window" : "longview_attention");
  out.push_back({"rotary base", fmt::format("{}", config.rope_base), "checkpoint"});
  out.push_back({"trained length", with_commas(config.trained_length), "checkpoint"});
  return out;
}

std::vector<std::string> warnings_of(const ExplainCommand& command, const Explanation& e, const ModelConfig& config) {
  std::vector<std::string> out = method_warnings(e.method, config, e.length);
  const std::string asked = asked_position(command, config);
  const Setting position = parse_setting(e.method.position->setting), said = parse_setting(asked.empty() ? "none" : asked);
  const bool replaces = !asked.empty() && asked != "none" && !config.rope_scaling.empty() && position.values.contains("factor") &&
                        position.name != "leaky_rerope";
  if (replaces)
    out.push_back(fmt::format(
        "scaled twice? The checkpoint's own scaling, {} ({}), is replaced by {}; its trained length of {} already counts it",
        config.rope_scaling, config.rope_source, position.name, with_commas(config.trained_length)));
  if (!config.rope_scaling.empty() && said.values.contains("factor") && position.values.contains("original") &&
      !said.values.contains("original"))
    out.push_back(fmt::format("a factor without original=: {} is taken, which is the length after the checkpoint's own scaling",
                              position.values.at("original")));
  if (position.name == "longrope") {
    const int64_t original = to_int("longrope", "original", position.values.at("original"));
    out.push_back(fmt::format("longrope uses its {} list for {} tokens (original {}); the choice is made anew as the text grows",
                              e.length > original ? "long" : "short", with_commas(e.length), with_commas(original)));
  }
  if (e.farthest > static_cast<double>(config.trained_length) && !e.pairs.empty())
    if (const auto slowest = e.pairs.back(); slowest.turns_after > slowest.turns * 1.001)
      out.push_back(
          fmt::format("the slowest pair turns {:.2f} times within {} tokens; in training it made {:.2f}: angles it has never met",
                      slowest.turns_after, with_commas(e.length), slowest.turns));
  return out;
}

Explanation explain(const ExplainCommand& command, const Opened& opened) {
  const auto& config = opened.model->config();
  Explanation out;
  const std::string position = asked_position(command, config), attention = asked_attention(command, config);
  out.method = opened.model->method(position, attention.empty() ? usual_attention(*opened.model, position) : attention);
  out.length = command.length > 0 ? command.length : 4 * config.trained_length;
  const auto bound = out.method.attention->bound();
  const int64_t cache = std::min(out.length, bound.value_or(out.length));
  const Position& method = *out.method.position;
  const Tensor last = at::tensor({cache - 1}, at::kLong), keys = at::arange(cache, at::kLong);  // [1] [cache]
  out.farthest = method.distance(last, keys).max().item<double>();
  const Tensor before = Position(method.rotary()).theta(1), after = method.theta(cache);  // [D/2] [M]
  for (int64_t m = 0; m < after.size(0); ++m) {
    const double a = before[m].item<double>(), b = after[m].item<double>();
    out.pairs.push_back(
        {2 * M_PI / a, 2 * M_PI / b, static_cast<double>(config.trained_length) * a / (2 * M_PI), out.farthest * b / (2 * M_PI)});
  }
  out.scale_first = method.scale(at::tensor({0}, at::kLong), cache).item<double>();
  out.scale_last = method.scale(last, cache).item<double>();
  out.values = values_of(command, out.method, config);
  out.token_bytes = 2 * config.kv_heads * config.head_width * 4 * config.layers;
  out.state_bytes = state_bytes(out.method, config, out.length);
  if (!bound) out.longest = free_bytes() / std::max<int64_t>(out.token_bytes, 1);
  out.warnings = warnings_of(command, out, config);
  return out;
}

std::string words(const Explanation& e, const ModelConfig& config) {
  TextTable values{{{"setting", TextTable::Align::left}, {"value", TextTable::Align::left}, {"from", TextTable::Align::left}}, {}};
  for (const auto& value : e.values) values.rows.push_back({value.name, cut_to_width(value.value, 40, "..."), value.source});
  TextTable pairs{{{"pair"}, {"wavelength"}, {"turns in training"}, {"stretched"}, {"wavelength now"}, {"turns now"}}, {}};
  for (size_t m = 0; m < e.pairs.size(); ++m) {
    const Pair& p = e.pairs[m];
    pairs.rows.push_back({fmt::format("{}", m), with_commas(p.before, 1), with_commas(p.turns, 2),
                          fmt::format("{:.2f}x", p.after / p.before), with_commas(p.after, 1), with_commas(p.turns_after, 2)});
  }
  std::string out = values.text();
  if (e.pairs.empty()) out += "\nNothing is rotated.\n";
  else
    out += fmt::format("\nRotary pairs: \"now\" is at {} tokens, where the farthest key looks {} tokens away\n",
                       with_commas(e.length), with_commas(e.farthest, 0)) +
           pairs.text();
  out += fmt::format("\nScores are multiplied by {:.4f} at the first token and {:.4f} at the last, besides 1/sqrt({}).\n",
                     e.scale_first, e.scale_last, config.head_width);
  out += e.longest
             ? fmt::format("State: {} a token, {} for {} tokens; {} tokens fit into the memory that is free now.\n",
                           bytes_text(e.token_bytes), bytes_text(e.state_bytes), with_commas(e.length), with_commas(*e.longest))
             : fmt::format("State: {} a token, never more than {}: any length fits.\n", bytes_text(e.token_bytes),
                           bytes_text(e.state_bytes));
  for (const auto& warning : e.warnings) out += "Beware: " + warning + ".\n";
  return out;
}

Json json_of(const Explanation& e, const ModelConfig& config) {
  Json pairs = Json::array(), values = Json::array();
  for (const auto& p : e.pairs)
    pairs.push_back(
        {{"wavelength_before", p.before}, {"wavelength", p.after}, {"turns_trained", p.turns}, {"turns", p.turns_after}});
  for (const auto& value : e.values) values.push_back({{"name", value.name}, {"value", value.value}, {"source", value.source}});
  return {{"model", config.name},
          {"position", e.method.position->setting},
          {"attention", e.method.attention->setting},
          {"length", e.length},
          {"farthest", e.farthest},
          {"values", values},
          {"pairs", pairs},
          {"scale_first", e.scale_first},
          {"scale_last", e.scale_last},
          {"token_bytes", e.token_bytes},
          {"state_bytes", e.state_bytes},
          {"longest_that_fits", e.longest ? Json(*e.longest) : Json()},
          {"warnings", e.warnings}};
}

Page report(const Explanation& e, const ExplainCommand& command, const ModelConfig& config) {
  Plot plot;
  plot.x_label = "rotary pair";
  plot.y_label = "turns as a power of ten: 0 is one full circle";
  Series trained{"in training", {}, "", Series::Weight::normal},
      now{fmt::format("at {} tokens", with_commas(e.length)), {}, "", Series::Weight::strong};
  for (size_t m = 0; m < e.pairs.size(); ++m) {
    trained.points.push_back({static_cast<double>(m), std::log10(e.pairs[m].turns)});
    now.points.push_back({static_cast<double>(m), std::log10(std::max(e.pairs[m].turns_after, 1e-9))});
  }
  plot.series = {trained, now};
  Page page;
  page.title = fmt::format("What {} does to {}", method_label(e.method), config.name);
  page.lead = {fmt::format(
      "Each rotary pair turns with the distance between two tokens. Where a pair turns further at {} tokens than it did "
      "within the {} tokens of training, and had not made a full turn there, it meets angles it has never seen.",
      with_commas(e.length), with_commas(config.trained_length))};
  for (const auto& warning : e.warnings) page.lead.push_back("Beware: " + warning + ".");
  Table table;
  table.columns = {{"pair", true},      {"wavelength", true},     {"turns in training", true},
                   {"stretched", true}, {"wavelength now", true}, {"turns now", true}};
  for (size_t m = 0; m < e.pairs.size(); ++m) {
    const Pair& p = e.pairs[m];
    table.rows.push_back({fmt::format("{}", m), with_commas(p.before, 1), with_commas(p.turns, 2),
                          fmt::format("{:.2f}x", p.after / p.before), with_commas(p.after, 1), with_commas(p.turns_after, 2)});
  }
  Facts settings;
  for (const auto& value : e.values) settings.push_back({value.name, value.value + " (" + value.source + ")"});
  page.sections = {{"How far each pair turns", {plot, table}},
                   {"Settings and where they come from", {settings}},
                   {"How this was made", {model_run_facts(command)}}};
  page.footer = "Made by longview explain.";
  return page;
}

void run(const ExplainCommand& command) {
  LV_CHECK(command.length >= 0, "[explain] --length must not be negative; got {}", command.length);
  check_writable("--report", command.report);
  check_writable("--json", command.json);
  const Opened opened = open_model(command);
  const auto& config = opened.model->config();
  const Explanation e = explain(command, opened);
  print(command, method_text(e.method) + "\n" + words(e, config));
  if (!command.report.empty()) {
    write_file(command.report, html(report(e, command, config)));
    print(command, "Report: " + command.report + "\n");
  }
  write_json(command, json_of(e, config));
}

}  // namespace

void add_explain(CLI::App& program) {
  auto command = std::make_shared<ExplainCommand>();
  auto* app = program.add_subcommand("explain", "what a method does to a model: wavelengths, turns, scales, bytes, warnings");
  add_model_options(*app, *command);
  add_method_options(*app, *command);
  add_count(*app, "--length", command->length, "length of the text in question; 0: four times the trained length");
  app->add_option("--report", command->report, "write a page with a plot")->type_name("FILE.html");
  app->callback([command] { run(*command); });
}

}  // namespace longview::tools
