// State files. Tensors "layer.<n>.<name>", "hidden" and "recent"; everything else in the metadata. The checksum is XXH3 of all
// tensor bytes and of the metadata without itself.
#include "longview/infer/snapshot.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "longview/checkpoint/safetensors.h"

namespace longview {
namespace {

constexpr const char* kFormat = "longview state 1";

std::string hex(uint64_t value) { return fmt::format("{:016x}", value); }

std::span<const uint8_t> bytes_of(const Tensor& x) {
  return {static_cast<const uint8_t*>(x.data_ptr()), static_cast<size_t>(x.nbytes())};
}

std::string checksum(const Safetensors& content) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  const auto add = [&](std::string_view text) {
    const uint64_t size = text.size();
    XXH3_64bits_update(state, &size, sizeof size);
    XXH3_64bits_update(state, text.data(), text.size());
  };
  for (const auto& [key, value] : content.metadata)
    if (key != "checksum") add(key), add(value);
  for (const auto& [name, entry] : content.tensors) {
    add(name), add(entry.dtype);
    for (const int64_t size : entry.shape) XXH3_64bits_update(state, &size, sizeof size);
    XXH3_64bits_update(state, entry.bytes.data(), entry.bytes.size());
  }
  const uint64_t out = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  return hex(out);
}

const std::string& needed(const Safetensors& content, const std::string& key, const std::string& where) {
  const auto found = content.metadata.find(key);
  LV_CHECK(found != content.metadata.end(), "[state] {} is not a state file of longview: its header has no '{}'", where, key);
  return found->second;
}

Safetensors checked(const MappedFile& file) {
  const std::string where = file.path().string();
  Safetensors content;
  try {
    content = read_safetensors(file.bytes(), where);
  } catch (const Error& error) {
    fail("[state] {} is damaged, or no state file of longview: {}", where, error.what());
  }
  const std::string& format = needed(content, "format", where);
  LV_CHECK(format == kFormat, "[state] {} is not a state file of this program: its format is '{}', not '{}'", where, format,
           kFormat);
  LV_CHECK(needed(content, "checksum", where) == checksum(content), "[state] {} is damaged: its bytes do not match their checksum",
           where);
  return content;
}

Tensor tensor_of(const SafetensorsEntry& entry, const std::string& name, const std::string& where) {
  LV_CHECK(entry.dtype == "F32" || entry.dtype == "I64", "[state] {}: tensor '{}' is {}; known: F32 and I64", where, name,
           entry.dtype);
  const Tensor out = at::empty(entry.shape, entry.dtype == "F32" ? at::kFloat : at::kLong);
  std::memcpy(out.data_ptr(), entry.bytes.data(), entry.bytes.size());
  LV_CHECK(entry.dtype != "F32" || out.isfinite().all().item<bool>(),
           "[state] {}: tensor '{}' has values that are not finite; nothing can go on from it", where, name);
  return out;
}

/// "layer.0003.k" -> 3 and "k"; nothing for other names.
std::optional<std::pair<int64_t, std::string>> layer_name(const std::string& name) {
  const size_t dot = name.find('.', 6);
  if (name.rfind("layer.", 0) != 0 || dot == std::string::npos) return std::nullopt;
  return std::pair(to_int("state", "layer", name.substr(6, dot - 6)), name.substr(dot + 1));
}

/// The tensors M and z alone.
ModelState memory_of(const Safetensors& content, const std::string& where) {
  constexpr int64_t kMostLayers = 1 << 12;
  ModelState out;
  for (const auto& [name, entry] : content.tensors) {
    const auto layer = layer_name(name);
    if (!layer || (layer->second != "M" && layer->second != "z") || layer->first < 0 || layer->first >= kMostLayers) continue;
    out.layers.resize(std::max(out.layers.size(), static_cast<size_t>(layer->first) + 1));
    out.layers[static_cast<size_t>(layer->first)].tensors[layer->second] = tensor_of(entry, name, where);
  }
  return out;
}

SnapshotInfo info_of(const Safetensors& content, const std::string& where) {
  SnapshotInfo info;
  info.model = needed(content, "model", where);
  info.model_fingerprint = needed(content, "model_fingerprint", where);
  info.position = needed(content, "position", where);
  info.attention = needed(content, "attention", where);
  info.tokens = to_int("state", "tokens", needed(content, "tokens", where));
  info.token_digest = needed(content, "token_digest", where);
  info.text = needed(content, "text", where);
  info.checksum = needed(content, "checksum", where);
  for (const auto& [name, entry] : content.tensors)
    if (name.rfind("layer.", 0) == 0) info.state_bytes += static_cast<int64_t>(entry.bytes.size());
  return info;
}

}  // namespace

void save_session(const std::filesystem::path& path, const Session& session, const Method& method, const ModelConfig& config,
                  uint64_t model_fingerprint, const std::string& text_name) {
  LV_CHECK(session.hidden.defined(), "[state] nothing was read, so there is nothing to save");
  std::vector<Tensor> kept;  // keeps the contiguous copies until they are written
  Safetensors content;
  const auto put = [&](const std::string& name, const Tensor& tensor) {
    kept.push_back(tensor.to(at::kCPU).contiguous());
    content.tensors[name] = {tensor.scalar_type() == at::kFloat ? "F32" : "I64", tensor.sizes().vec(), bytes_of(kept.back())};
  };
  for (size_t n = 0; n < session.state.layers.size(); ++n)
    for (const auto& [name, tensor] : session.state.layers[n].tensors) put(fmt::format("layer.{:04}.{}", n, name), tensor);
  put("hidden", session.hidden);
  put("recent", at::tensor(std::vector<int64_t>(session.recent.begin(), session.recent.end()), at::kLong));
  content.metadata = {{"format", kFormat},
                      {"model", config.name},
                      {"model_fingerprint", hex(model_fingerprint)},
                      {"position", method.position->setting},
                      {"attention", method.attention->setting},
                      {"tokens", std::to_string(session.state.seen())},
                      {"token_digest", hex(session.digest)},
                      {"text", text_name}};
  content.metadata["checksum"] = checksum(content);
  write_safetensors(path, content);
}

SnapshotInfo read_snapshot_info(const std::filesystem::path& path) {
  const MappedFile file(path);
  const Safetensors content = checked(file);
  SnapshotInfo info = info_of(content, path.string());
  info.memory = memory_fill(memory_of(content, path.string()));
  return info;
}

Restored load_session(const std::filesystem::path& path, const ModelConfig& config, uint64_t model_fingerprint, at::Device device) {
  const std::string where = path.string();
  const MappedFile file(path);
  const Safetensors content = checked(file);
  Restored out{{}, info_of(content, where)};
  LV_CHECK(out.info.model_fingerprint == hex(model_fingerprint),
           "[state] {} was made with the model '{}' (fingerprint {}); this one is '{}' ({}). Give the model it was made with: -m",
           where, out.info.model, out.info.model_fingerprint, config.name, hex(model_fingerprint));
  out.session.state.layers.resize(config.layers);
  for (auto& layer : out.session.state.layers) layer.seen = out.info.tokens;
  for (const auto& [name, entry] : content.tensors) {
    const Tensor tensor = tensor_of(entry, name, where);
    if (name == "hidden") {
      Shapes("state")("hidden", tensor, "1 E");
      out.session.hidden = tensor.to(device);
    } else if (name == "recent") {
      for (int64_t n = 0; n < tensor.numel(); ++n) out.session.recent.push_back(static_cast<Id>(tensor.data_ptr<int64_t>()[n]));
    } else {
      const auto layer = layer_name(name);
      LV_CHECK(layer, "[state] {}: unknown tensor '{}'", where, name);
      LV_CHECK(layer->first >= 0 && layer->first < config.layers, "[state] {}: layer {} of a model with {}", where, layer->first,
               config.layers);
      out.session.state.layers[static_cast<size_t>(layer->first)].tensors[layer->second] = tensor.to(device);
    }
  }
  LV_CHECK(out.session.hidden.defined() && out.session.hidden.size(1) == config.width, "[state] {} has no last hidden state",
           where);
  out.info.memory = memory_fill(out.session.state);
  out.session.digest = std::stoull(out.info.token_digest, nullptr, 16);
  return out;
}

}  // namespace longview
