// longview list: models, positions, attention methods, what training takes, kernels; with --markdown the page docs/methods.md.
#include "longview/base/text_format.h"
#include "longview/model/footprint.h"
#include "longview/segment/sources.h"
#include "longview/train/optimizer.h"
#include "longview/train/schedule.h"
#include "tools/program.h"

namespace longview::tools {
namespace {

struct ListCommand : SharedOptions {
  std::string what = "all";
  bool is_markdown = false;
};

struct Row {
  std::string kind, name, source, summary, remembers;
  Footprint footprint = {};
};

constexpr int64_t kFootprintTokens = 65000;  // of the text in the footprints: what the paper's Memorizing Transformer keeps

const std::vector<std::string>& kinds() {
  static const std::vector<std::string> all{"models",     "positions", "attention", "sources",
                                            "optimizers", "schedules", "kernels",   "footprints"};
  return all;
}

std::vector<Row> rows_of(const std::string& what) {
  std::vector<Row> out;
  const auto wants = [&](std::string_view kind) { return what == "all" || what == kind; };
  if (wants("models"))
    for (const auto& [name, path] : known_models()) out.push_back({"models", name, path.string(), "", ""});
  const auto add_all = [&](const std::string& kind, const auto& table) {
    for (const auto& e : table)
      if (wants(kind))
        out.push_back({kind, std::string(e.name), std::string(e.source), std::string(e.summary), std::string(e.remembers)});
  };
  add_all("positions", positions());
  add_all("attention", attentions());
  add_all("sources", sources());
  add_all("optimizers", optimizers());
  add_all("schedules", schedules());
  if (wants("kernels"))
    for (const auto& kernel : kernels::attention_kernels())
      out.push_back({"kernels", "attention." + std::string(kernel.name), "", std::string(kernel.summary), ""});
  if (wants("kernels"))
    for (const auto& kernel : kernels::infini_kernels())
      out.push_back({"kernels", "infini." + std::string(kernel.name), "", std::string(kernel.summary), ""});
  if (wants("footprints"))
    for (const auto& preset : presets())
      for (const auto& footprint : footprints(preset, kFootprintTokens))
        out.push_back({"footprints", std::string(preset.name), std::string(preset.source), footprint.method, "", footprint});
  return out;
}

/// Values a text of 65,000 tokens leaves behind, by model and method; times: that of the Memorizing Transformer over it.
TextTable footprint_table(const std::vector<Row>& rows) {
  TextTable out{{{"model", TextTable::Align::left},
                 {"method", TextTable::Align::left},
                 {"values"},
                 {"times less"},
                 {"in a state"},
                 {"with the segment"},
                 {"times less"},
                 {"formula", TextTable::Align::left}},
                {}};
  for (const auto& row : rows) {
    if (row.kind != "footprints") continue;
    const auto memorizing = std::find_if(rows.begin(), rows.end(), [&](const Row& other) {
      return other.name == row.name && other.footprint.method == "memorizing";
    });
    const auto &f = row.footprint, &m = memorizing->footprint;
    const auto times = [](int64_t more, int64_t less) {
      return fmt::format("{:.1f}", static_cast<double>(more) / static_cast<double>(less));
    };
    out.rows.push_back({row.name, f.method, with_commas(f.values), times(m.values, f.values), with_commas(f.state_values),
                        with_commas(f.values + f.local_values), times(m.values + m.local_values, f.values + f.local_values),
                        f.formula});
  }
  return out;
}

std::string settings_text(const Row& row) {
  const Rotary rotary{64, 10000, 2048, "", 8, 24};
  const std::string name = row.name == "rope" ? "rope:base=10000" : row.name;  // rope does not speak of the checkpoint's base
  const std::string setting =
      row.kind == "positions" ? make_position(name, rotary)->setting : make_attention(name, rotary)->setting;
  const size_t colon = setting.find(':');
  if (colon == std::string::npos) return "none";
  std::string out = "`";
  for (const char c : setting.substr(colon + 1)) out += c == ',' ? "`, `" : std::string(1, c);
  return out + "`";
}

constexpr const char* kIntroduction = R"(# Methods

What `--rope-scaling` and `--attention` take. This page is written by `longview list --markdown`, and a test keeps it current.

A method is its name, or its name and some of its settings; what is left out keeps the value shown here. Any position goes with
any attention, but for those that say otherwise:

    longview read book.txt --rope-scaling yarn:factor=4 --attention streaming:window=1024,sinks=4
    longview read book.txt --method yarn:factor=4+full --method dynamic+full --method rope+streaming

The same setting has the same name everywhere: `factor` is how many times longer than `original` the text may get, `original` the
length in tokens that the model was trained for before any scaling, `base` the rotary base (left out: the checkpoint's), `window` the
tokens that are kept or seen, `sinks` how many of them are the first of the text. `none` as a position is the checkpoint's rotation
unscaled. Values that depend on the model are shown for one of 24 layers trained for 2,048 tokens.

A position "to be trained with" is for models that were: a checkpoint that names it as its own is read with it, and no other method goes over
it but the scales `logn=` and `temperature=`. `hwfa` and `hwfa2` are position and attention in one; asked for as one, the other follows.

What is reached past the trained length is what was measured on one small model trained for 8,192 tokens, not trained further, with full
attention: docs/results/recall.md and docs/results/extend.md.
)";

std::string markdown() {
  std::string out = kIntroduction;
  for (const std::string kind : {"positions", "attention"}) {
    out += fmt::format("\n## {}\n\n", kind == "positions" ? "Positions: `--rope-scaling`" : "Attention: `--attention`");
    out += kind == "positions" ? "| name | what it does | what is reached past the trained length | settings | source |\n"
                               : "| name | what a token sees | what is remembered | settings | source |\n";
    out += "|---|---|---|---|---|\n";
    for (const auto& row : rows_of(kind))
      out += fmt::format("| `{}` | {} | {} | {} | {} |\n", row.name, row.summary, row.remembers, settings_text(row), row.source);
  }
  return out;
}

std::string words(const std::vector<Row>& rows, const std::string& kind) {
  if (kind == "footprints") return "footprints: values carried through a text of 65,000 tokens\n" + footprint_table(rows).text();
  TextTable table{{{"", TextTable::Align::left}, {"", TextTable::Align::left}, {"", TextTable::Align::left}}, {}};
  for (const auto& row : rows) {
    if (row.kind != kind) continue;
    if (kind == "models") table.rows.push_back({row.name, row.source, ""});
    else table.rows.push_back({row.name, row.summary, row.source});
  }
  return kind + "\n" + (table.rows.empty() ? "  none; ./run setup installs a small one\n" : table.text());
}

Json json_of(const Row& row) {
  if (row.kind == "models") return {{"name", row.name}, {"path", row.source}};
  if (row.kind == "footprints")
    return {{"model", row.name},
            {"method", row.footprint.method},
            {"formula", row.footprint.formula},
            {"tokens", kFootprintTokens},
            {"values", row.footprint.values},
            {"state_values", row.footprint.state_values},
            {"local_values", row.footprint.local_values}};
  Json out{{"name", row.name}, {"summary", row.summary}};
  if (row.kind != "kernels") out["source"] = row.source;
  if (row.kind == "positions" || row.kind == "attention") out["remembers"] = row.remembers;
  return out;
}

void list(const ListCommand& command) {
  std::vector<std::string> known = kinds();
  if (command.what != "all" && std::find(known.begin(), known.end(), command.what) == known.end()) {
    known.push_back("all");
    throw Error("[list] " + unknown_name("list", command.what, known));
  }
  if (command.is_markdown) return print(command, markdown());
  const auto rows = rows_of(command.what);
  Json json = Json::object();
  std::string text;
  for (const auto& kind : kinds()) {
    if (command.what != "all" && command.what != kind) continue;
    text += (text.empty() ? "" : "\n") + words(rows, kind);
    json[kind] = Json::array();
    for (const auto& row : rows)
      if (row.kind == kind) json[kind].push_back(json_of(row));
  }
  print(command, text);
  write_json(command, json);
}

}  // namespace

void add_list(CLI::App& program) {
  auto command = std::make_shared<ListCommand>();
  auto* app = program.add_subcommand(
      "list", "models, methods, kernels and what training takes, with their papers; what each method's memory holds");
  app->add_option("what", command->what, "all, models, positions, attention, sources, optimizers, schedules, kernels or footprints")
      ->type_name("WHAT");
  app->add_flag("--markdown", command->is_markdown, "the methods as the page docs/methods.md");
  add_json_option(*app, *command);
  app->callback([command] { list(*command); });
}

}  // namespace longview::tools
