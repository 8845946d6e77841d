// What the subcommands share: options every one of them knows, opening a model, printing results.
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>

#include "longview/base/device.h"
#include "longview/base/json.h"
#include "longview/longview.h"
#include "longview/report/page.h"

namespace longview::tools {

struct SharedOptions {
  std::string model;     // path or name; "": the model that setup installs
  std::string adapter;   // a LoRA adapter's folder to put into its weights; "": none
  std::string position;  // --rope-scaling
  std::string attention;
  std::string device = "auto", precision = "f32";
  int64_t threads = 0;  // 0: all processors
  std::string json, report;
  bool quiet = false;

  // llama.cpp's spellings: each becomes a value of one of the two settings (tools/methods.cpp).
  std::optional<int64_t> context, keep, yarn_original;
  std::optional<double> rope_base, rope_scale;
};

/// A whole number as an option; k and M are powers of 1024.
CLI::Option* add_count(CLI::App& app, const std::string& names, int64_t& value, const std::string& help);
/// --json FILE.
void add_json_option(CLI::App& app, SharedOptions& options);
/// --adapter FOLDER.
void add_adapter_option(CLI::App& app, SharedOptions& options);
/// -m, --adapter, -t, --json, -q.
void add_model_options(CLI::App& app, SharedOptions& options);
/// --rope-scaling, --attention, and llama.cpp's spellings of their values.
void add_method_options(CLI::App& app, SharedOptions& options);

/// Throws before any work is done when a file could not be written later: no such folder, a folder itself. "" and "-" are fine.
void check_writable(std::string_view option, const std::string& path);

struct Opened {
  Checkpoint checkpoint;  // without its tensors, which the model has packed
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Transformer> model;
};

/// Sets the threads, opens and packs the model, says what it is on stderr unless quiet.
Opened open_model(const SharedOptions& options);

/// Models by name: files and folders in the project's model folder and in $LONGVIEW_MODELS.
std::vector<std::pair<std::string, std::filesystem::path>> known_models();
/// A path as it is, a name from known_models(), or the default; an unknown name is an error that lists the known ones.
std::filesystem::path find_model(const std::string& name_or_path);
/// The checkpoint of a path or name with `adapter` (a folder; "": none) in its weights. A folder that holds an adapter alone is a model
/// too: the one that the adapter names, where that is installed, with it.
Checkpoint open_named(const std::string& name_or_path, const std::string& adapter);
std::filesystem::path default_book();
/// A text's path as it is given, - for standard input. Throws when it is one of the files that will be written.
std::filesystem::path text_path(const std::string& path, const std::vector<std::string>& written);

/// The settings that the options ask for, "" where they ask for none. Throws on options that contradict each other.
std::string asked_position(const SharedOptions& options, const ModelConfig& config);
std::string asked_attention(const SharedOptions& options, const ModelConfig& config);

/// The attention that keeps a text of any length safe when nothing is asked for: the model's own window, or sinks and a window of
/// the trained length, which inside that length is the model as it was trained.
std::string bounded_attention(const Transformer& model);
/// The attention when none is asked for: that, or, where a position method is asked for that goes beyond it, the model's own.
std::string usual_attention(const Transformer& model, const std::string& position);

/// What a person should know about a method on this model before it runs: a window wider than the trained length, unbounded state
/// past it. One sentence each.
std::vector<std::string> method_warnings(const Method& method, const ModelConfig& config, int64_t tokens);

/// "streaming 1024", "yarn 4 + full attention": for labels.
std::string method_label(const Method& method);
/// "yarn:factor=4, streaming:window=1024,sinks=4": without the values that are as they always are, for people.
std::string method_text(const Method& method);

/// Writes the result to options.json ("-": standard output); nothing when it was not asked for.
void write_json(const SharedOptions& options, const Json& result);
/// Results in words go to standard output, or to standard error when the JSON takes standard output.
void print(const SharedOptions& options, std::string_view text);
/// What is said beside the result goes to standard error, a line each; nothing when quiet.
void note(const SharedOptions& options, std::string_view text);

/// Rows for a report: command line, commit, machine, date; and the model's file.
std::vector<Fact> run_facts(const SharedOptions& options);
std::vector<Fact> model_run_facts(const SharedOptions& options);
void remember_command_line(int count, char** arguments);

/// Ctrl-C, or a termination signal: the first one asks to stop at the next step, the second one ends the process.
std::atomic<bool>& interrupted();

void add_convert(CLI::App& program);
void add_read(CLI::App& program);
void add_generate(CLI::App& program);
void add_state(CLI::App& program);
void add_list(CLI::App& program);
void add_bench(CLI::App& program);
void add_compare(CLI::App& program);
void add_eval(CLI::App& program);
void add_explain(CLI::App& program);
void add_train(CLI::App& program);

}  // namespace longview::tools
