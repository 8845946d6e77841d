// Counting operations.
#include "longview/train/cost.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "longview/base/device.h"

namespace longview {
namespace {

int64_t value_of(const Setting& setting, const char* key) {
  const auto found = setting.values.find(key);
  return found == setting.values.end() ? 0 : to_int("train", key, found->second);
}

/// Mean over t = 1 .. length of min(t, most).
double mean_seen(int64_t length, int64_t most) {
  const auto whole = static_cast<double>(std::min(length, most));
  return whole * (whole + 1) / 2 / static_cast<double>(length) +
         whole * static_cast<double>(length - std::min(length, most)) / static_cast<double>(length);
}

/// Keys that a query is multiplied with, in the mean over a text.
double keys_seen(const Attention& layer, int64_t length) {
  const Setting setting = parse_setting(layer.setting);
  if (setting.name == "infini") {  // its segment so far, what overlaps with the one before, and sinks
    const int64_t segment = std::max<int64_t>(value_of(setting, "segment"), 1),
                  extra = value_of(setting, "overlap") + value_of(setting, "sinks");
    return std::min(mean_seen(segment, segment) + static_cast<double>(extra), mean_seen(length, length));
  }
  return mean_seen(length, layer.bound().value_or(length));
}

struct Peak {
  const char* name;  // part of what the driver calls the GPU
  double half, single;
};

// Dense tensor-core products in bf16, and f32 as f32 (not TF32), from the makers' data sheets.
constexpr std::array kPeaks{Peak{"GB200", 2500e12, 80e12},    Peak{"B200", 2250e12, 75e12},    Peak{"H200", 989e12, 67e12},
                            Peak{"H100 PCIe", 756e12, 51e12}, Peak{"H100 NVL", 835e12, 60e12}, Peak{"H100", 989e12, 67e12},
                            Peak{"A100", 312e12, 19.5e12},    Peak{"A10G", 70e12, 31.5e12},    Peak{"A10", 125e12, 31.2e12},
                            Peak{"L40S", 362e12, 91.6e12},    Peak{"L4", 121e12, 30.3e12},     Peak{"RTX 4090", 165e12, 82.6e12},
                            Peak{"RTX 3090", 71e12, 35.6e12}};

double measured(at::ScalarType type) {
  constexpr int64_t kSide = 768, kTimes = 5;
  const c10::NoGradGuard no_gradients;
  const Tensor a = at::full({kSide, kSide}, 0.5, type), b = at::full({kSide, kSide}, 0.25, type);  // [768,768]
  double best = 0;
  for (int64_t n = 0; n < kTimes; ++n) {
    const auto begin = std::chrono::steady_clock::now();
    const Tensor product = at::mm(a, b);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, 2.0 * kSide * kSide * kSide / std::max(seconds, 1e-9));
  }
  return best;
}

}  // namespace

double attention_operations(const Attention& layer, const ModelConfig& config, int64_t length) {
  const auto H = static_cast<double>(config.heads), D = static_cast<double>(config.head_width);
  const auto memory = static_cast<double>(layer.memory_values(config.kv_heads, config.head_width));  // M and z of all G heads
  const bool is_delta = layer.setting.find("delta") != std::string::npos;
  const double reads = H / static_cast<double>(config.kv_heads) + (is_delta ? 1 : 0);  // delta reads before it writes
  return 4 * H * D * keys_seen(layer, length) + 2 * memory * (reads + 1);
}

TokenCost token_cost(const Parameters& parameters, const ModelConfig& config, const Method& method, int64_t length) {
  TokenCost out;
  for (const auto& [name, tensor] : parameters.tensors()) {
    if (tensor.dim() != 2 || name.starts_with("model.position.")) continue;
    const double cost = static_cast<double>(tensor.numel()) * (tensor.requires_grad() ? 6 : 4);
    const bool is_embedding = name == "model.embed_tokens.weight";
    if (name == "lm_head.weight" || (is_embedding && config.tied_head)) out.head += cost;
    else if (!is_embedding) out.layers += cost;
  }
  for (int64_t layer = 0; layer < config.layers; ++layer)
    out.layers += 3 * attention_operations(method.attention->at(layer), config, length);
  return out;
}

std::optional<double> peak_operations(at::Device device, at::ScalarType type) {
  if (device.is_cpu()) return measured(type);
  const std::string name = gpu_name(device);
  for (const Peak& peak : kPeaks)
    if (name.find(peak.name) != std::string::npos) return type == at::kBFloat16 || type == at::kHalf ? peak.half : peak.single;
  return std::nullopt;
}

}  // namespace longview
