// Models by path or name, adapters put into them, opened.
#include <thread>

#include "longview/base/text_format.h"
#include "longview/checkpoint/adapter.h"
#include "tools/program.h"

namespace longview::tools {
namespace {

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

}  // namespace longview::tools
