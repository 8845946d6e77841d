// Looking for the first tensor that is not finite.
#include "longview/train/fault.h"

#include <algorithm>

namespace longview {
namespace {

bool is_finite(const Tensor& x) { return x.isfinite().all().item<bool>(); }

ModelState first_layers(ModelState state, int64_t layers) {
  if (!state.layers.empty()) state.layers.resize(static_cast<size_t>(layers));
  return state;
}

/// Whether the model's first layers give finite numbers. The last norm behind them keeps what is not finite so.
bool are_finite(const Transformer& model, const Parameters& parameters, const Method& method, const Segment& segment,
                const ModelState& state, int64_t layers) {
  ModelConfig config = model.config();
  config.layers = layers;
  const Transformer part(config, parameters.tensors());
  return !parameters.ranks().any(!is_finite(part.forward(segment, method, first_layers(state, layers)).hidden));
}

/// How far behind the loss a parameter's gradient is made: the output layer first, the embedding last.
int64_t distance(const std::string& name) {
  constexpr std::string_view layer = "model.layers.";
  constexpr int64_t kEmbedding = 1 << 20;
  if (name.starts_with(layer)) return kEmbedding - 1 - std::stoll(name.substr(layer.size()));
  return name.starts_with("model.embed") ? kEmbedding : 0;
}

}  // namespace

std::string first_bad_parameter(const Parameters& parameters) {
  for (const auto& group : parameters.groups()) {
    if (!parameters.ranks().any(!is_finite(group.master))) continue;
    for (const auto& [name, master] : parameters.masters())
      if (!is_finite(master)) return fmt::format("the parameter '{}'", name);
  }
  return "";
}

std::string first_bad_output(const Transformer& model, const Parameters& parameters, const Method& method, const Segment& segment,
                             const ModelState& state) {
  const c10::NoGradGuard no_gradients;
  for (const auto& [name, tensor] : parameters.tensors())
    if (!is_finite(tensor)) return fmt::format("the parameter '{}'", name);
  std::string carried;
  for (size_t layer = 0; layer < state.layers.size(); ++layer)
    for (const auto& [name, tensor] : state.layers[layer].tensors)
      if (carried.empty() && !is_finite(tensor))
        carried = fmt::format("'{}' that layer {} carries from the batch before", name, layer);
  if (carried = parameters.ranks().first_text(carried); !carried.empty()) return carried;
  const int64_t layers = model.config().layers;
  const auto are_good = [&](int64_t count) { return are_finite(model, parameters, method, segment, state, count); };
  if (!are_good(layers)) {
    int64_t good = 0, bad = layers;  // layers before which all is finite, and behind which something is not
    while (bad - good > 1) {
      const int64_t middle = (good + bad) / 2;
      (are_good(middle) ? good : bad) = middle;
    }
    return fmt::format("the output of layer {} ('model.layers.{}')", bad - 1, bad - 1);
  }
  return "";
}

std::string first_bad_gradient(const Parameters& parameters) {
  std::string first;
  for (size_t g = 0; g < parameters.groups().size(); ++g) {
    const Tensor gradient = parameters.gradient(g);
    for (const auto& slice : parameters.groups()[g].slices)
      if (!is_finite(gradient.narrow(0, slice.first, slice.count)) && (first.empty() || distance(slice.name) < distance(first)))
        first = slice.name;
  }
  return first.empty() ? "" : fmt::format("the gradient of '{}'", first);
}

}  // namespace longview
