// What the subcommands share: options every one of them knows, opening a model, printing results.
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>

#include "longview/base/json.h"
#include "longview/longview.h"
#include "longview/report/page.h"

namespace longview::tools {

struct SharedOptions {
  std::string model;     // path or name; "": the model that setup installs
  std::string position;  // --rope-scaling
  std::string attention;
  int threads = 0;  // 0: all processors
  std::string json, report;
  bool quiet = false;
};

/// Adds -m, -t, --json, -q; and --rope-scaling, --attention, --report where asked for.
void add_model_options(CLI::App& app, SharedOptions& options);
void add_method_options(CLI::App& app, SharedOptions& options);

struct Opened {
  Checkpoint checkpoint;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Transformer> model;
};

/// Sets the threads, opens and packs the model, says what it is on stderr unless quiet.
Opened open_model(const SharedOptions& options);

/// Models by name: files and folders in the project's model folder and in $LONGVIEW_MODELS.
std::vector<std::pair<std::string, std::filesystem::path>> known_models();
/// A path as it is, a name from known_models(), or the default; an unknown name is an error that lists the known ones.
std::filesystem::path find_model(const std::string& name_or_path);
std::filesystem::path default_book();

/// The attention that keeps a text of any length safe when nothing is asked for: the model's own window, or sinks and a window of
/// the trained length, which inside that length is the model as it was trained.
std::string bounded_attention(const Transformer& model);

/// What a person should know about a method on this model before it runs: a window wider than the trained length, unbounded state
/// past it. One sentence each.
std::vector<std::string> method_warnings(const Method& method, const ModelConfig& config, int64_t tokens);

/// "rope+streaming:window=1024,sinks=4" shortened to what differs from the defaults, for labels.
std::string method_label(const Method& method);

/// Writes the result to options.json ("-": standard output); nothing when it was not asked for.
void write_json(const SharedOptions& options, const Json& result);
/// Where words go: standard output, or standard error when the JSON takes standard output.
void print(const SharedOptions& options, std::string_view text);

/// Rows for a report: command line, commit, machine, date.
std::vector<Fact> run_facts(const SharedOptions& options);
void remember_command_line(int count, char** arguments);

/// Ctrl-C: the first one asks to stop at the next step, the second one ends the process.
std::atomic<bool>& interrupted();

void add_read(CLI::App& program);
void add_generate(CLI::App& program);
void add_state(CLI::App& program);
void add_list(CLI::App& program);
void add_bench(CLI::App& program);

}  // namespace longview::tools
