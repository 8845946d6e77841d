// A checkpoint expanded into flat groups, and back.
#include "longview/train/parameters.h"

#include <torch/csrc/autograd/variable.h>

#include "longview/checkpoint/put_weights.h"
#include "longview/checkpoint/tensor_names.h"

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

Parameters::Parameters(const Checkpoint& checkpoint, const ParameterOptions& options)
    : ranks_(options.ranks), is_shared_(options.is_shared && options.ranks->size() > 1) {
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
    group.count = ends[g];
    const int64_t parts_of = is_shared_ ? ranks_->size() : 1, missing = (parts_of - ends[g] % parts_of) % parts_of;
    parts[g].push_back(at::zeros({missing}, at::TensorOptions(options.device).dtype(wide)));
    const Tensor all = at::cat(parts[g]);  // [P]
    ranks_->broadcast(all);
    group.values = type == wide ? all : all.to(type);  // [P]
    group.grads = at::zeros_like(group.values);        // [P]
    const int64_t each = all.numel() / parts_of;
    group.master = is_shared_ ? all.narrow(0, ranks_->rank() * each, each) : all;  // [P/R] or [P]
    if (is_shared_ && type != wide) group.master = group.master.clone();
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
  for (const auto& group : groups_) sum += group.count;
  return sum;
}

Tensor Parameters::whole(size_t group, const Tensor& part) const {
  return (is_shared_ ? ranks_->all_gather(part) : part).narrow(0, 0, groups_.at(group).count);
}

Tensor Parameters::part(size_t group, const Tensor& whole) const {
  if (!is_shared_) return whole;
  const int64_t each = groups_.at(group).values.numel() / ranks_->size();
  const Tensor all = at::constant_pad_nd(whole, {0, each * ranks_->size() - whole.numel()});  // [P]
  return all.narrow(0, ranks_->rank() * each, each).clone();
}

void Parameters::clear_gradients() {
  for (auto& group : groups_) group.grads.zero_();
}

void Parameters::accumulate(bool is_first, double share) {
  for (auto& group : groups_) {
    if (!group.sum.defined()) group.sum = at::zeros_like(group.values, group.master.options());
    if (is_first) group.sum.zero_();
    group.sum.add_(group.grads, share);
  }
}

Tensor Parameters::gradient(size_t group) const {
  const auto& g = groups_.at(group);
  return g.sum.defined() ? g.sum : g.grads.to(g.master.scalar_type());
}

std::vector<Tensor> Parameters::summed_gradients() const {
  std::vector<Tensor> out;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Tensor own = gradient(g);  // [P]
    if (is_shared_) {
      out.push_back(ranks_->reduce_scatter(own));  // [P/R]
    } else {
      ranks_->all_reduce(own);
      out.push_back(own);
    }
  }
  return out;
}

Tensor Parameters::norm(const std::vector<Tensor>& gradients) const {
  std::vector<Tensor> norms;
  for (const auto& gradient : gradients) norms.push_back(gradient.norm());
  const Tensor own = at::stack(norms).norm();  // []
  if (!is_shared_) return own;
  const Tensor squares = own.square();  // []
  ranks_->all_reduce(squares);
  return squares.sqrt();
}

std::string Parameters::first_bad_gradient() const {
  for (size_t g = 0; g < groups_.size(); ++g)
    for (const auto& slice : groups_[g].slices)
      if (!gradient(g).narrow(0, slice.first, slice.count).isfinite().all().item<bool>()) return slice.name;
  return "";
}

void Parameters::publish() {
  for (size_t g = 0; g < groups_.size(); ++g) {
    auto& group = groups_[g];
    const bool is_same = group.values.scalar_type() == group.master.scalar_type();
    if (is_shared_) group.values.copy_(ranks_->all_gather(is_same ? group.master : group.master.to(group.values.scalar_type())));
    else if (!is_same) group.values.copy_(group.master);
  }
}

Checkpoint Parameters::checkpoint(const Checkpoint& original) const {
  Checkpoint out;
  out.config = original.config, out.tokenizer = original.tokenizer;
  out.config.interleaved_rotary = false, out.config.storage = "F32";
  std::vector<Tensor> masters;
  for (size_t g = 0; g < groups_.size(); ++g) masters.push_back(whole(g, groups_[g].master).to(at::kCPU, at::kFloat));
  for (const auto& [name, stored] : original.tensors) {
    Tensor value;
    if (const auto found = places_.find(name); found != places_.end()) {
      const auto& slice = groups_[found->second.first].slices[found->second.second];
      value = masters[found->second.first].narrow(0, slice.first, slice.count);
    } else {
      value = tensors_.at(name).to(at::kCPU, at::kFloat);
    }
    const auto held = std::make_shared<Tensor>(value.contiguous().clone());
    out.tensors[name] = {stored.shape,
                         BlockType::f32,
                         {static_cast<const uint8_t*>(held->data_ptr()), static_cast<size_t>(held->nbytes())},
                         {},
                         held};
  }
  return out;
}

}  // namespace longview
