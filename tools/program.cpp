// Shared by the subcommands: options and results.
#include "tools/program.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <fstream>
#include <iostream>

#include "longview/base/file.h"
#include "longview/base/text_format.h"

namespace longview::tools {
namespace {

std::string& command_line() {
  static std::string line;
  return line;
}

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  utsname name{};
  return uname(&name) == 0 ? name.machine : "unknown";
}

}  // namespace

CLI::Option* add_count(CLI::App& app, const std::string& names, int64_t& value, const std::string& help) {
  const std::string name = names.substr(names.rfind(',') + 1);
  const auto set = [&value, name, &app](const std::string& text) { value = to_int(app.get_name(), name, text); };
  return app.add_option_function<std::string>(names, set, help)->type_name("N");
}

void add_json_option(CLI::App& app, SharedOptions& options) {
  app.add_option("--json", options.json, "write the result as JSON to a file, or - for standard output")->type_name("FILE");
}

void add_adapter_option(CLI::App& app, SharedOptions& options) {
  app.add_option("--adapter,--lora", options.adapter,
                 "a LoRA adapter (PEFT's folder, or that of a checkpoint of longview train) to put into the weights")
      ->type_name("FOLDER");
}

void add_model_options(CLI::App& app, SharedOptions& options) {
  app.add_option("-m,--model", options.model, "GGUF file, Hugging Face folder, or a name of `longview list models`")
      ->type_name("MODEL");
  add_adapter_option(app, options);
  add_count(app, "-t,--threads", options.threads, "threads; 0: all processors");
  app.add_option("--device", options.device, "auto: a GPU where there is one; cpu, cuda, cuda:1")->type_name("DEVICE");
  app.add_option("--precision", options.precision, "of products on a GPU: f32, or bf16, many times faster")->type_name("f32|bf16");
  add_json_option(app, options);
  app.add_flag("-q,--quiet", options.quiet, "no progress and no notes");
}

void check_writable(std::string_view option, const std::string& path) {
  std::error_code none;
  if (path.empty() || path == "-" || std::filesystem::is_character_file(path, none) || std::filesystem::is_fifo(path, none)) return;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path(), folder = parent.empty() ? "." : parent;
  LV_CHECK(!std::filesystem::is_directory(path), "[{}] '{}' is a folder; give a file", option, path);
  LV_CHECK(std::filesystem::is_directory(folder), "[{}] cannot write '{}': there is no folder '{}'", option, path, folder.string());
  LV_CHECK(::access(folder.c_str(), W_OK) == 0, "[{}] cannot write '{}': the folder '{}' may not be written to", option, path,
           folder.string());
}

std::filesystem::path text_path(const std::string& path, const std::vector<std::string>& written) {
  std::error_code none;
  for (const auto& other : written)
    LV_CHECK(other.empty() || !std::filesystem::is_regular_file(other, none) || !std::filesystem::equivalent(path, other, none),
             "[text] '{}' is read and would be written over; give another file to write", path);
  return path == "-" ? "/dev/stdin" : path;
}

std::filesystem::path default_book() {
  const auto book = std::filesystem::path(LONGVIEW_HOME) / ".deps/books/bible.txt";
  LV_CHECK(std::filesystem::exists(book),
           "[read] no text is given and the demo book is not installed; give a file, or run ./run setup");
  return book;
}

void print(const SharedOptions& options, std::string_view text) {
  (options.json == "-" ? std::cerr : std::cout) << text << std::flush;
}

void note(const SharedOptions& options, std::string_view text) {
  if (!options.quiet) std::cerr << text << "\n";
}

void write_json(const SharedOptions& options, const Json& result) {
  if (options.json.empty()) return;
  const std::string text = result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (options.json == "-") std::cout << text << std::flush;
  else write_file(options.json, text);
}

std::vector<Fact> run_facts(const SharedOptions& options) {
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
  return {{"command", command_line()},
          {"program", fmt::format("longview {} ({})", LONGVIEW_VERSION, LONGVIEW_COMMIT)},
          {"machine", fmt::format("{}, {} threads, {} loops", processor(), at::get_num_threads(), instruction_set())},
          {"device", options.device},
          {"date", date}};
}

std::vector<Fact> model_run_facts(const SharedOptions& options) {
  auto out = run_facts(options);
  out.push_back({"model file", find_model(options.model).filename().string()});
  if (!options.adapter.empty()) out.push_back({"adapter", options.adapter});
  return out;
}

void remember_command_line(int count, char** arguments) {
  for (int n = 0; n < count; ++n) {
    const std::string word = n == 0 ? "longview" : arguments[n];
    const bool is_plain = !word.empty() && word.find_first_of(" '\"$\\") == std::string::npos;
    command_line() += (n == 0 ? "" : " ") + (is_plain ? word : "'" + word + "'");
  }
}

std::atomic<bool>& interrupted() {
  static std::atomic<bool> flag = false;
  static const bool is_set = [] {
    struct sigaction action {};
    action.sa_handler = [](int) {
      if (flag.exchange(true)) _exit(130);
    };
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    return true;
  }();
  (void)is_set;
  return flag;
}

}  // namespace longview::tools
