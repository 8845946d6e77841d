// Shared by the subcommands: options, models by name, results.
#include "tools/program.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <fstream>
#include <iostream>
#include <thread>

#include "longview/base/file.h"
#include "longview/base/text_format.h"
#include "longview/checkpoint/adapter.h"

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

bool is_model(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return std::filesystem::exists(path / "config.json") || is_adapter_folder(path);
  return path.extension() == ".gguf";
}

std::vector<std::filesystem::path> model_folders() {
  std::vector<std::filesystem::path> out;
  if (const char* folder = std::getenv("LONGVIEW_MODELS"); folder != nullptr && *folder != '\0') out.emplace_back(folder);
  for (const char* folder : {"models", ".deps/models"}) out.emplace_back(std::filesystem::path(LONGVIEW_HOME) / folder);
  return out;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
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

std::vector<std::pair<std::string, std::filesystem::path>> known_models() {
  std::vector<std::pair<std::string, std::filesystem::path>> out;
  for (const auto& folder : model_folders()) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none))
      if (is_model(entry.path())) out.emplace_back(lower(entry.path().stem().string()), entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::filesystem::path find_model(const std::string& name_or_path) {
  if (!name_or_path.empty() && std::filesystem::exists(name_or_path)) return name_or_path;
  const auto models = known_models();
  if (name_or_path.empty()) {
    LV_CHECK(!models.empty(), "[model] none is given and none is installed; give one with -m, or run ./run setup");
    for (const auto& [name, path] : models)
      if (name.rfind("smollm2-135m", 0) == 0) return path;
    return models.front().second;
  }
  std::vector<std::string> names, starts;  // a name may be cut short, so the nearest is looked for among names cut as short
  for (const auto& [name, path] : models) {
    if (name.rfind(lower(name_or_path), 0) == 0) return path;
    names.push_back(name);
    starts.push_back(name.substr(0, name_or_path.size()));
  }
  LV_CHECK(!names.empty(), "[model] '{}' does not exist; give a GGUF file or a Hugging Face folder", name_or_path);
  const std::string near = nearest(lower(name_or_path), starts);
  const auto at = std::find(starts.begin(), starts.end(), near);
  fail("[model] '{}' is no file and no known model{}; known: {}", name_or_path,
       near.empty() ? "" : fmt::format("; did you mean '{}'?", names[static_cast<size_t>(at - starts.begin())]), listed(names));
}

Checkpoint open_named(const std::string& name_or_path, const std::string& adapter) {
  const std::filesystem::path path = find_model(name_or_path);
  if (!is_adapter_folder(path)) {
    Checkpoint out = open_checkpoint(path);
    return adapter.empty() ? out : merged(out, read_adapter(adapter));
  }
  LV_CHECK(adapter.empty(), "[model] '{}' is an adapter itself; give the model it is for with -m, and one adapter", path.string());
  const Adapter own = read_adapter(path);
  const std::string name = own.base.substr(own.base.rfind('/') + 1);  // "HuggingFaceTB/SmolLM2-135M-Instruct"
  try {
    return merged(open_checkpoint(find_model(std::filesystem::exists(own.base) ? own.base : name)), own);
  } catch (const Error& error) {
    fail("[model] '{}' is an adapter for '{}': {}; give -m MODEL --adapter {}", path.string(), own.base, error.what(),
         path.string());
  }
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

Opened open_model(const SharedOptions& options) {
  LV_CHECK(options.threads >= 0 && options.threads <= 1024, "[model] --threads must be between 0 and 1024; got {}",
           options.threads);
  LV_CHECK(options.precision == "f32" || options.precision == "bf16", "[model] --precision must be f32 or bf16; got '{}'",
           options.precision);
  const at::Device device = open_device(options.device);
  LV_CHECK(options.precision == "f32" || !device.is_cpu(),
           "[model] --precision bf16 is for a GPU; on the CPU products are as exact as f32");
  at::set_num_threads(options.threads > 0 ? static_cast<int>(options.threads)
                                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  Opened out{open_named(options.model, options.adapter), nullptr, nullptr};
  out.tokenizer = make_tokenizer(out.checkpoint.tokenizer);
  out.model = std::make_unique<Transformer>(out.checkpoint, device, options.precision == "bf16" ? at::kBFloat16 : at::kFloat);
  out.checkpoint.tensors.clear();
  const auto& c = out.model->config();
  note(options, fmt::format("{}  {}, trained for {} tokens, {} layers, {} heads over {}{}", c.name, c.storage,
                            with_commas(c.trained_length), c.layers, c.heads, c.kv_heads,
                            device.is_cpu() ? "" : fmt::format(", on {} in {}", device_text(device), options.precision)));
  return out;
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
