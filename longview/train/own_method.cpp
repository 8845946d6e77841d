// What a model says of its methods, and the tensors that these learn.
#include "longview/train/own_method.h"

#include <ATen/CPUGeneratorImpl.h>

#include <fmt/ranges.h>

#include <set>

#include "longview/attention/attention.h"
#include "longview/checkpoint/adapter.h"
#include "longview/checkpoint/tensor_names.h"

namespace longview {
namespace {

/// Those that config.json of transformers has words for.
bool is_rope_scaling(const std::string& name) {
  static const std::set<std::string> known = {"dynamic", "linear", "llama3", "longrope", "yarn"};
  return known.contains(name);
}

void set_position(ModelConfig& c, const Rotary& rotary, const std::string& wanted) {
  const std::string made = wanted == "none" ? "rope" : make_position(wanted, rotary)->setting;
  Setting setting = parse_setting(made);
  c.position.clear(), c.rope_scaling.clear(), c.rope_source.clear();
  if (const auto base = setting.values.find("base"); setting.name == "rope" && base != setting.values.end()) {
    c.rope_base = to_real("rope", "base", base->second);
    setting.values.erase(base);
  }
  const std::string rest = setting.name == "rope" ? setting_text(setting) : made;
  if (is_rope_scaling(setting.name) && !setting.values.contains("logn") && !setting.values.contains("temperature"))
    c.rope_scaling = rest, c.rope_source = "rope_scaling";
  else if (rest != "rope") c.position = rest;
}

/// What a method learns, as it begins, where the checkpoint does not have it.
void put_learned(const std::vector<LearnedValue>& values, std::string_view prefix, Checkpoint& checkpoint) {
  for (const auto& [name, initial] : values)
    checkpoint.tensors.try_emplace(std::string(prefix) + name, in_memory(initial.to(at::kFloat).contiguous()));
}

}  // namespace

Checkpoint with_methods(Checkpoint checkpoint, const std::string& position, const std::string& attention) {
  ModelConfig& c = checkpoint.config;
  const auto rotary = [&] { return Rotary{c.head_width, c.rope_base, c.trained_length, "", c.heads, c.layers, {}, c.width}; };
  if (!attention.empty()) {
    const auto made = make_attention(attention, rotary());
    c.attention = made->setting == "full" ? "" : made->setting;
    std::erase_if(checkpoint.tensors, [](const auto& tensor) { return tensor.first.starts_with(kAttentionValues); });
    put_learned(made->learned(), kAttentionValues, checkpoint);
    if (const std::string hybrid = made->hybrid(); position.empty() && !hybrid.empty()) c.position = hybrid;
  }
  if (position.empty() && c.own_position().empty()) return checkpoint;
  if (!position.empty()) {
    set_position(c, rotary(), position);
    std::erase_if(checkpoint.tensors, [](const auto& tensor) { return tensor.first.starts_with(kPositionValues); });
  }
  const auto own = make_position(c.own_position().empty() ? "rope" : c.own_position(), rotary());
  if (const std::string hybrid = own->hybrid(); attention.empty() && !hybrid.empty())
    c.attention = make_attention(hybrid, rotary())->setting;
  put_learned(own->learned(), kPositionValues, checkpoint);
  return checkpoint;
}

void add_adapters(Checkpoint& checkpoint, int64_t rank, const std::vector<std::string>& targets) {
  auto random = at::detail::createCPUGenerator(1);
  std::map<std::string, StoredTensor> made;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    const bool is_target = std::any_of(targets.begin(), targets.end(),
                                       [&name = name](const auto& part) { return name.find(part) != std::string::npos; });
    if (!is_target || tensor.shape.size() != 2 || !name.starts_with("model.layers.")) continue;
    const double most = 1 / std::sqrt(static_cast<double>(tensor.shape[1]));
    made[adapter_a(name)] = in_memory(at::empty({rank, tensor.shape[1]}).uniform_(-most, most, random));  // [r,I]
    made[adapter_b(name)] = in_memory(at::zeros({tensor.shape[0], rank}));                                // [O,r]
  }
  LV_CHECK(!made.empty(), "[train] no matrix has '{}' in its name for an adapter", fmt::join(targets, "' or '"));
  checkpoint.tensors.merge(made);
}

StoredTensor in_memory(const Tensor& values) {
  const auto held = std::make_shared<Tensor>(values);
  return {values.sizes().vec(),
          BlockType::f32,
          {static_cast<const uint8_t*>(held->data_ptr()), static_cast<size_t>(held->nbytes())},
          {},
          held};
}

}  // namespace longview
