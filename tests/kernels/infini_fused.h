// The fused form of Infini-attention, on whatever runs its kernels, against the definition: results and gradients.
#pragma once

#include <torch/csrc/autograd/autograd.h>

#include <map>

#include "tests/kernels/error.h"
#include "tests/kernels/infini_cases.h"

namespace longview::testing {

/// What fused kernels serve: every width, segments that do and do not fill a tile, and all that a text may bring along.
inline std::vector<InfiniCase> fused_infini_cases() {
  std::vector<InfiniCase> out;
  for (const int64_t D : {16, 32, 64, 128}) out.push_back({.name = "width", .T = 160, .H = 4, .G = 2, .D = D, .N = 80});
  out.push_back({.name = "one segment", .T = 16, .D = 16});
  out.push_back({.name = "many rows", .T = 320, .H = 3, .G = 1, .D = 16, .N = 160});
  out.push_back({.name = "weighted", .T = 96, .H = 3, .G = 3, .D = 32, .N = 24, .packing = Packing::weighted});
  out.push_back({.name = "continued", .T = 96, .D = 16, .N = 48, .is_continued = true});
  out.push_back({.name = "gate at 1", .T = 96, .D = 16, .N = 32, .gate = 1});
  out.push_back({.name = "empty memory scales", .T = 96, .D = 16, .N = 32, .empty = kernels::EmptyMemory::scale});
  out.push_back({.name = "overlap", .T = 96, .D = 16, .N = 32, .overlap = 20});
  out.push_back({.name = "overlap of a whole segment",
                 .T = 96,
                 .H = 3,
                 .G = 1,
                 .D = 16,
                 .N = 24,
                 .packing = Packing::weighted,
                 .overlap = 24});
  out.push_back({.name = "overlap and one segment", .T = 32, .D = 16, .N = 32, .overlap = 8});
  out.push_back({.name = "overlap continued",
                 .T = 96,
                 .H = 2,
                 .D = 16,
                 .N = 32,
                 .packing = Packing::weighted,
                 .is_continued = true,
                 .overlap = 32});
  out.push_back({.name = "sinks and an overlap", .T = 96, .D = 16, .N = 32, .overlap = 20, .sinks = 4});
  out.push_back(
      {.name = "sinks and an overlap of a whole segment", .T = 96, .H = 3, .G = 1, .D = 16, .N = 24, .overlap = 24, .sinks = 4});
  out.push_back({.name = "sinks alone", .T = 96, .D = 16, .N = 32, .packing = Packing::weighted, .sinks = 5});
  out.push_back({.name = "sinks of a text that goes on",
                 .T = 96,
                 .D = 16,
                 .N = 32,
                 .is_continued = true,
                 .overlap = 32,
                 .sinks = 4,
                 .begun = 64});
  return out;
}

/// On a device, as training has them: q, k and v in bf16, the rest in f32. From values that bf16 has.
inline kernels::InfiniOperands for_training(kernels::InfiniOperands x, at::Device device, bool is_narrow) {
  for (Tensor* part : {&x.q, &x.k, &x.v, &x.k_before, &x.v_before, &x.sink_k, &x.sink_v})
    if (part->defined()) *part = part->to(at::kBFloat16).to(device, is_narrow ? at::kBFloat16 : at::kDouble);
  for (Tensor* part : {&x.gate, &x.rotation.cos, &x.rotation.sin, &x.weight, &x.memory.M, &x.memory.z, &x.memory.n})
    if (part->defined()) *part = part->to(device, is_narrow ? at::kFloat : at::kDouble);
  return x;
}

using InfiniForm = std::function<kernels::InfiniResult(const kernels::InfiniOperands&, const kernels::InfiniRules&)>;

/// Results and gradients by name, in f64 on the CPU; out and the memory at the end have random gradients.
inline std::map<std::string, Tensor> results_and_gradients(const InfiniForm& form, kernels::InfiniOperands x,
                                                           const kernels::InfiniRules& rules) {
  std::vector<std::pair<std::string, Tensor*>> leaves{{"d_q", &x.q}, {"d_k", &x.k}, {"d_v", &x.v}, {"d_gate", &x.gate}};
  if (x.memory.M.defined()) leaves.insert(leaves.end(), {{"d_M", &x.memory.M}, {"d_z", &x.memory.z}});
  std::vector<Tensor> inputs;
  for (auto& [name, leaf] : leaves) inputs.push_back(*leaf = leaf->detach().clone().requires_grad_(true));
  const kernels::InfiniResult y = form(x, rules);
  Randoms random(7);
  const auto weighed = [&](const Tensor& part) {
    return (part * random.normal(part.sizes()).to(part.options())).sum().to(at::kCPU, at::kDouble);
  };
  const auto grads =
      torch::autograd::grad({weighed(y.out) + weighed(y.memory.M) + weighed(y.memory.z)}, inputs, {}, std::nullopt, false, true);
  std::map<std::string, Tensor> out{{"out", y.out}, {"M", y.memory.M}, {"z", y.memory.z}, {"n", y.memory.n}};
  for (size_t n = 0; n < leaves.size(); ++n) out[leaves[n].first] = grads[n].defined() ? grads[n] : at::zeros_like(inputs[n]);
  for (auto& [name, value] : out) value = value.detach().to(at::kCPU, at::kDouble);
  return out;
}

/// Against the definition in f64, beside what the definition makes of bf16.
inline void expect_fused_is_right(const InfiniForm& fused, at::Device device) {
  for (const InfiniCase& c : fused_infini_cases()) {
    const auto rules = rules_of(c);
    const auto narrow = for_training(operands(c), device, true);
    const auto exact = results_and_gradients(kernels::infini_ref, for_training(operands(c), at::kCPU, false), rules);
    const auto plain = results_and_gradients(kernels::infini_ref, narrow, rules),
               ours = results_and_gradients(fused, narrow, rules);
    for (const auto& [name, value] : exact) {
      const double own = (ours.at(name) - value).norm().item<double>(), theirs = (plain.at(name) - value).norm().item<double>(),
                   size = value.norm().item<double>();
      EXPECT_LE(own, std::max(2 * theirs, 8e-3 * size))
          << c.name << " of " << c.D << ": " << name << " of size " << size << ", plain formula in bf16 " << theirs;
    }
    const c10::NoGradGuard no_gradients;
    const Tensor M = fused(narrow, rules).memory.M.to(at::kCPU, at::kDouble);
    EXPECT_LE((M - exact.at("M")).norm().item<double>(), 2e-6 * exact.at("M").norm().item<double>()) << c.name << ", reading";
  }
}

}  // namespace longview::testing
