// A checkpoint expanded into flat groups, and back.
#include "longview/train/parameters.h"

#include <torch/csrc/autograd/variable.h>

#include "longview/checkpoint/put_weights.h"
#include "longview/checkpoint/tensor_names.h"
#include "longview/train/own_method.h"

namespace longview {
namespace {

/// f32 [shape], rotary pairs as halves.
Tensor expanded(const Checkpoint& checkpoint, const std::string& name, const StoredTensor& stored) {
  const Tensor out = at::empty(stored.shape);
  auto* to = static_cast<uint8_t*>(out.data_ptr());
  const auto& c = checkpoint.config;
  const RowAt row = c.interleaved_rotary && is_rotated(name) ? halves_from_neighbours(c.head_width) : RowAt();
  put_weights(name, stored, BlockType::f32, row, [&](std::span<const uint8_t> piece) {
    std::copy(piece.begin(), piece.end(), to);
    to += piece.size();
  });
  return out;
}

bool has_part(const std::string& name, const std::vector<std::string>& parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const std::string& part) { return part == "*" || name.find(part) != std::string::npos; });
}

enum Kind : size_t { matrices, vectors, gates };

Kind kind_of(const std::string& name, const StoredTensor& stored) {
  if (name.ends_with(".memory_gate")) return gates;
  return stored.shape.size() > 1 && !is_method_value(name) ? matrices : vectors;
}

}  // namespace

Parameters::Parameters(const Checkpoint& checkpoint, const ParameterOptions& options) {
  const auto wide = options.type == at::kDouble ? at::kDouble : at::kFloat;
  groups_ = {{.name = "matrices", .rate = 1, .decay = options.decay},
             {.name = "vectors", .rate = 1, .decay = 0},
             {.name = "gates", .rate = options.gate_rate, .decay = 0}};
  std::vector<std::vector<Tensor>> parts(groups_.size());
  std::vector<int64_t> ends(groups_.size(), 0);
  for (const auto& [name, stored] : checkpoint.tensors) {
    const Tensor value = expanded(checkpoint, name, stored).to(options.device, wide);
    const Kind kind = kind_of(name, stored);
    if (has_part(name, options.frozen) && !has_part(name, options.trained)) {
      tensors_[name] = kind == matrices ? value.to(options.type) : value;
      continue;
    }
    places_[name] = {kind, groups_[kind].slices.size()};
    groups_[kind].slices.push_back({name, stored.shape, ends[kind], value.numel()});
    ends[kind] += value.numel();
    parts[kind].push_back(value.reshape(-1));
  }
  for (size_t g = 0; g < groups_.size(); ++g) {
    auto& group = groups_[g];
    const auto type = g == matrices ? options.type : wide;
    group.master = parts[g].empty() ? at::empty({0}, at::TensorOptions(options.device).dtype(wide)) : at::cat(parts[g]);  // [P]
    group.values = type == wide ? group.master : group.master.to(type);                                                   // [P]
    group.grads = at::zeros_like(group.values);                                                                           // [P]
    for (const auto& slice : group.slices) {
      Tensor leaf = group.values.narrow(0, slice.first, slice.count).view(slice.shape).detach();
      leaf.set_requires_grad(true);
      leaf.mutable_grad() = group.grads.narrow(0, slice.first, slice.count).view(slice.shape);
      tensors_[slice.name] = leaf;
    }
  }
  std::erase_if(groups_, [](const ParameterGroup& group) { return group.slices.empty(); });
  for (size_t g = 0; g < groups_.size(); ++g)
    for (size_t s = 0; s < groups_[g].slices.size(); ++s) places_[groups_[g].slices[s].name] = {g, s};
  LV_CHECK(!groups_.empty(), "[train] nothing is trained: everything is frozen");
}

int64_t Parameters::count() const {
  int64_t sum = 0;
  for (const auto& group : groups_) sum += group.master.numel();
  return sum;
}

Tensor Parameters::master(const std::string& name) const {
  const auto found = places_.find(name);
  if (found == places_.end()) return tensors_.at(name).to(at::kFloat);
  const auto& group = groups_[found->second.first];
  const auto& slice = group.slices[found->second.second];
  return group.master.narrow(0, slice.first, slice.count).view(slice.shape);
}

void Parameters::clear_gradients() {
  for (auto& group : groups_) group.grads.zero_();
}

void Parameters::accumulate(bool is_first, double share) {
  for (auto& group : groups_) {
    if (!group.sum.defined()) group.sum = at::zeros_like(group.master);
    if (is_first) group.sum.zero_();
    group.sum.add_(group.grads, share);
  }
}

Tensor Parameters::gradient(size_t group) const {
  const auto& g = groups_.at(group);
  return g.sum.defined() ? g.sum : g.grads.to(g.master.scalar_type());
}

Tensor Parameters::gradient_norm() const {
  std::vector<Tensor> norms;
  for (size_t g = 0; g < groups_.size(); ++g) norms.push_back(gradient(g).norm());
  return at::stack(norms).norm();
}

void Parameters::publish() {
  for (auto& group : groups_)
    if (!group.values.is_same(group.master)) group.values.copy_(group.master);
}

Checkpoint Parameters::checkpoint(const Checkpoint& original) const {
  Checkpoint out;
  out.config = original.config, out.tokenizer = original.tokenizer;
  out.config.interleaved_rotary = false, out.config.storage = "F32";
  for (const auto& [name, stored] : original.tensors) {
    const bool is_trained = places_.contains(name);  // what is frozen may be rounded here: the file's own values are kept
    out.tensors[name] =
        in_memory(is_trained ? master(name).to(at::kCPU, at::kFloat).contiguous().clone() : expanded(original, name, stored));
  }
  return out;
}

}  // namespace longview
