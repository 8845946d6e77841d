// Saving and finding trainings.
#include "longview/train/saved.h"

#include "longview/base/folder.h"
#include "longview/checkpoint/export.h"
#include "longview/checkpoint/safetensors.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensors = "training.safetensors";
constexpr const char* kRest = "training.json";

const std::vector<std::pair<at::ScalarType, std::string>>& types() {
  static const std::vector<std::pair<at::ScalarType, std::string>> all = {
      {at::kFloat, "F32"}, {at::kDouble, "F64"}, {at::kLong, "I64"}, {at::kBFloat16, "BF16"}};
  return all;
}

}  // namespace

void save_training(const fs::path& folder, const Trainer& trainer, const Json& rest) {
  AtomicFolder out(folder);
  export_hugging_face(trainer.weights(), out / "model", {});
  if (const auto adapter = trainer.adapter()) write_adapter(out / "adapter", *adapter);
  Safetensors file;
  std::vector<Tensor> held;
  for (const auto& [name, rest_tensor] : trainer.rest()) {
    const Tensor tensor = rest_tensor;
    held.push_back(tensor.contiguous());
    const auto type = std::find_if(types().begin(), types().end(), [&](const auto& t) { return t.first == tensor.scalar_type(); });
    LV_CHECK(type != types().end(), "[train] '{}' is of a type that is not saved", name);
    file.tensors[name] = {type->second,
                          tensor.sizes().vec(),
                          {static_cast<const uint8_t*>(held.back().data_ptr()), static_cast<size_t>(held.back().nbytes())}};
  }
  write_safetensors(out / kTensors, file);
  Json all = rest;
  all["step"] = trainer.done();
  write_file(out / kRest, all.dump(1) + "\n");
  out.commit();
}

SavedTraining load_training(const fs::path& folder) {
  LV_CHECK(fs::is_directory(folder), "[train] there is no training in '{}'", folder.string());
  SavedTraining out;
  out.rest = parse_json(read_text(folder / kRest), (folder / kRest).string());
  LV_CHECK(out.rest.is_object() && out.rest.contains("step") && out.rest["step"].is_number_integer(),
           "[train] {}: 'step' is missing", (folder / kRest).string());
  const MappedFile file(folder / kTensors);
  const Safetensors content = read_safetensors(file.bytes(), (folder / kTensors).string());
  for (const auto& [name, read] : content.tensors) {
    const auto& entry = read;
    const auto type = std::find_if(types().begin(), types().end(), [&](const auto& t) { return t.second == entry.dtype; });
    LV_CHECK(type != types().end(), "[train] {}: '{}' is {}", (folder / kTensors).string(), name, entry.dtype);
    const Tensor tensor = at::empty(entry.shape, at::TensorOptions(type->first));
    std::copy(entry.bytes.begin(), entry.bytes.end(), static_cast<uint8_t*>(tensor.data_ptr()));
    out.tensors[name] = tensor;
  }
  return out;
}

fs::path saved_training_path(const fs::path& out, int64_t step) { return out / fmt::format("checkpoint-{:06}", step); }

std::map<int64_t, fs::path> saved_trainings(const fs::path& out) {
  std::map<int64_t, fs::path> found;
  if (!fs::is_directory(out)) return found;
  for (const auto& entry : fs::directory_iterator(out)) {
    const std::string name = entry.path().filename().string();
    const std::string digits = name.starts_with("checkpoint-") ? name.substr(11) : "";
    const bool is_number =
        !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (entry.is_directory() && is_number) found[std::stoll(digits)] = entry.path();
  }
  return found;
}

}  // namespace longview
