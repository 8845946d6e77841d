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

size_t Parameters::group_of(const std::string& name) const {
  for (size_t g = 0; g < groups_.size(); ++g)
    if (name.starts_with(groups_[g].name + ".")) return g;
  fail("[train] '{}' is not of a group of parameters: was it written with another optimizer, or other frozen ones?", name);
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

std::map<std::string, Tensor> Parameters::masters() const {
  std::map<std::string, Tensor> out;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Tensor all = whole(g, groups_[g].master);  // [count]
    for (const auto& slice : groups_[g].slices) out[slice.name] = all.narrow(0, slice.first, slice.count).view(slice.shape);
  }
  return out;
}

void Parameters::set_masters(const std::map<std::string, Tensor>& values) {
  if (values.empty()) return;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Tensor all = whole(g, groups_[g].master).clone();  // [count]
    for (const auto& slice : groups_[g].slices)
      if (const auto found = values.find(slice.name); found != values.end())
        all.narrow(0, slice.first, slice.count).copy_(found->second.reshape(-1));
    groups_[g].master.copy_(part(g, all));
  }
  publish();
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

void Parameters::publish() {
  for (auto& group : groups_) {
    const bool is_same = group.values.scalar_type() == group.master.scalar_type();
    if (is_shared_) group.values.copy_(ranks_->all_gather(is_same ? group.master : group.master.to(group.values.scalar_type())));
    else if (!is_same) group.values.copy_(group.master);
  }
}

Checkpoint Parameters::checkpoint(const Checkpoint& original) const {
  Checkpoint out;
  out.config = original.config, out.tokenizer = original.tokenizer;
  out.config.interleaved_rotary = false, out.config.storage = "F32";
  const auto trained = masters();
  for (const auto& [name, stored] : original.tensors) {
    const auto found = trained.find(name);  // what is frozen may be rounded here: the file's own values are kept
    out.tensors[name] = in_memory(found != trained.end() ? found->second.to(at::kCPU, at::kFloat).contiguous().clone()
                                                         : expanded(original, name, stored));
  }
  return out;
}

}  // namespace longview
