// longview list: models, positions, attention methods, kernels; with --markdown the page docs/methods.md.
#include "longview/base/text_format.h"
#include "tools/program.h"

namespace longview::tools {
namespace {

struct ListCommand : SharedOptions {
  std::string what = "all";
  bool is_markdown = false;
};

struct Row {
  std::string kind, name, source, summary, remembers;
};

std::vector<Row> rows_of(const std::string& what) {
  std::vector<Row> out;
  const auto wants = [&](std::string_view kind) { return what == "all" || what == kind; };
  if (wants("models"))
    for (const auto& [name, path] : known_models()) out.push_back({"models", name, path.filename().string(), "", ""});
  if (wants("positions"))
    for (const auto& e : positions())
      out.push_back({"positions", std::string(e.name), std::string(e.source), std::string(e.summary), std::string(e.remembers)});
  if (wants("attention"))
    for (const auto& e : attentions())
      out.push_back({"attention", std::string(e.name), std::string(e.source), std::string(e.summary), std::string(e.remembers)});
  if (wants("kernels"))
    for (const auto& kernel : kernels::attention_kernels())
      out.push_back({"kernels", "attention." + std::string(kernel.name), "", std::string(kernel.summary), ""});
  return out;
}

std::string settings_text(const Row& row) {
  const Rotary rotary{64, 10000, 2048};
  const std::string setting =
      row.kind == "positions" ? make_position(row.name, rotary)->setting : make_attention(row.name)->setting;
  std::string out;
  for (const auto& [key, value] : parse_setting(setting).values)
    out += (out.empty() ? "" : ", ") + fmt::format("`{}={}`", key, value);
  return out.empty() ? "none" : out;
}

std::string markdown() {
  std::string out =
      "# Methods\n\nMade by `longview list --markdown` from the registries; a test keeps it current. Settings are shown with their "
      "values "
      "on a model trained for 2,048 tokens (base 10,000, heads 64 wide).\n\n"
      "Any position goes with any attention: `--rope-scaling yarn:factor=4 --attention streaming:window=1024`.\n";
  for (const std::string kind : {"positions", "attention"}) {
    out += fmt::format("\n## {}\n\n", kind == "positions" ? "Positions (`--rope-scaling`)" : "Attention (`--attention`)");
    out += kind == "positions" ? "| name | what it does | settings | source |\n|---|---|---|---|\n"
                               : "| name | what a query sees | what it remembers | settings | source |\n|---|---|---|---|---|\n";
    for (const auto& row : rows_of(kind)) {
      out += fmt::format("| `{}` | {} ", row.name, row.summary);
      if (kind == "attention") out += fmt::format("| {} ", row.remembers);
      out += fmt::format("| {} | {} |\n", settings_text(row), row.source);
    }
  }
  return out;
}

void list(const ListCommand& command) {
  static const std::vector<std::string> known{"all", "models", "positions", "attention", "kernels"};
  if (std::find(known.begin(), known.end(), command.what) == known.end())
    throw Error("[list] " + unknown_name("list", command.what, known));
  if (command.is_markdown) return print(command, markdown());
  Json json = Json::object();
  std::string kind;
  TextTable table{{{"", TextTable::Align::left}, {"", TextTable::Align::left}, {"", TextTable::Align::left}}, {}};
  for (const auto& row : rows_of(command.what)) {
    if (row.kind != kind) table.rows.push_back({(kind.empty() ? "" : "\n  ") + row.kind, "", ""});
    kind = row.kind;
    table.rows.push_back({"  " + row.name, row.summary, row.source});
    json[row.kind].push_back({{"name", row.name}, {"source", row.source}, {"summary", row.summary}, {"remembers", row.remembers}});
  }
  print(command, table.text());
  write_json(command, json);
}

}  // namespace

void add_list(CLI::App& program) {
  auto command = std::make_shared<ListCommand>();
  auto* app = program.add_subcommand("list", "models, methods and kernels, with their papers");
  app->add_option("what", command->what, "all, models, positions, attention or kernels");
  app->add_flag("--markdown", command->is_markdown, "the methods as the page docs/methods.md");
  app->add_option("--json", command->json, "write the list as JSON to a file, or - for standard output");
  app->callback([command] { list(*command); });
}

}  // namespace longview::tools
