// Statistics of the memory's tensors.
#include "longview/infer/memory.h"

namespace longview {

std::vector<MemoryFill> memory_fill(const ModelState& state) {
  std::vector<MemoryFill> out;
  for (size_t layer = 0; layer < state.layers.size(); ++layer) {
    const auto& tensors = state.layers[layer].tensors;
    const auto M = tensors.find("M"), z = tensors.find("z");
    if (M == tensors.end() || z == tensors.end()) continue;
    const double mean = z->second.mean().item<double>(), spread = z->second.std(/*unbiased=*/false).item<double>();
    const double scale = mean > 0 ? mean : 1;
    out.push_back({static_cast<int64_t>(layer), mean, spread / scale, M->second.norm().item<double>() / scale});
  }
  return out;
}

int64_t memory_bytes(const ModelState& state) {
  int64_t sum = 0;
  for (const auto& layer : state.layers)
    for (const char* name : {"M", "z"})
      if (const auto found = layer.tensors.find(name); found != layer.tensors.end())
        sum += static_cast<int64_t>(found->second.nbytes());
  return sum;
}

}  // namespace longview
