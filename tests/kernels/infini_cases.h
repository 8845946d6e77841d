// One table of cases for Infini-attention: tests, gradients and the benchmark use it.
#pragma once

#include "longview/kernels/infini.h"
#include "tests/kernels/attention_cases.h"

namespace longview::testing {

enum class Packing { none, padded, packed, weighted };

struct InfiniCase {
  const char* name;
  int64_t T = 100, H = 4, G = 2, D = 8, N = 16;
  kernels::WriteRule write = kernels::WriteRule::linear;
  Packing packing = Packing::none;
  double gate = 0.5;  // of the first head; the others spread around
  kernels::FeatureMap features = kernels::FeatureMap::elu1;
  kernels::ReadRule read = kernels::ReadRule::plain;
  kernels::EmptyMemory empty = kernels::EmptyMemory::bypass;
  bool is_continued = false;  // begins with a memory that is not empty
  double size = 1;            // of q and k
  int64_t overlap = 0, sinks = 0, begun = 0;
};

inline void PrintTo(const InfiniCase& c, std::ostream* out) { *out << c.name; }

/// Lengths around the segment, heads over key heads 1, 3 and 4, every rule, gates at both ends, packed and padded, and what is left.
inline std::vector<InfiniCase> infini_cases() {
  using kernels::WriteRule;
  std::vector<InfiniCase> out;
  for (const auto write : {WriteRule::linear, WriteRule::delta, WriteRule::corrected_delta}) {
    out.push_back({.name = "no tokens", .T = 0, .write = write});
    out.push_back({.name = "one token", .T = 1, .write = write});
    out.push_back({.name = "a token less than a segment", .T = 15, .write = write});
    out.push_back({.name = "a segment", .T = 16, .write = write});
    out.push_back({.name = "a token more", .T = 17, .write = write});
    out.push_back({.name = "seven segments and three", .T = 7 * 16 + 3, .write = write});
    out.push_back({.name = "heads of one key head each", .H = 3, .G = 3, .write = write});
    out.push_back({.name = "three heads a key head", .H = 6, .G = 2, .write = write});
    out.push_back({.name = "four heads over one", .H = 4, .G = 1, .write = write});
    out.push_back({.name = "gate at 0", .write = write, .gate = 0});
    out.push_back({.name = "gate at 1", .write = write, .gate = 1});
    out.push_back({.name = "padded", .write = write, .packing = Packing::padded});
    out.push_back({.name = "packed", .write = write, .packing = Packing::packed});
    out.push_back({.name = "weighted", .write = write, .packing = Packing::weighted});
    out.push_back({.name = "continued", .write = write, .is_continued = true});
    out.push_back({.name = "segments of one token", .T = 20, .N = 1, .write = write});
    out.push_back({.name = "dpfp", .write = write, .features = kernels::FeatureMap::dpfp});
    out.push_back({.name = "centred", .write = write, .read = kernels::ReadRule::centred});
    out.push_back({.name = "empty memory scales", .write = write, .empty = kernels::EmptyMemory::scale});
    out.push_back({.name = "overlap", .write = write, .overlap = 5});
    out.push_back({.name = "overlap of a segment", .H = 6, .write = write, .overlap = 16});
    out.push_back({.name = "overlap in one segment", .T = 16, .write = write, .overlap = 3});
    out.push_back({.name = "overlap weighted", .write = write, .packing = Packing::weighted, .overlap = 7});
    out.push_back({.name = "overlap continued", .write = write, .packing = Packing::weighted, .is_continued = true, .overlap = 9});
    out.push_back({.name = "sinks", .write = write, .sinks = 3});
    out.push_back(
        {.name = "sinks and an overlap", .H = 6, .write = write, .packing = Packing::weighted, .overlap = 5, .sinks = 11});
    out.push_back({.name = "sinks and an overlap of a segment", .write = write, .overlap = 16, .sinks = 4});
    out.push_back({.name = "sinks in one segment", .T = 9, .write = write, .overlap = 16, .sinks = 4});
    out.push_back({.name = "sinks of a text that goes on",
                   .write = write,
                   .packing = Packing::weighted,
                   .is_continued = true,
                   .overlap = 9,
                   .sinks = 3,
                   .begun = 48});
    out.push_back({.name = "sinks that have just been read", .write = write, .overlap = 16, .sinks = 3, .begun = 16});
  }
  out.push_back({.name = "heads of 64", .T = 300, .H = 2, .G = 1, .D = 64, .N = 64});
  out.push_back({.name = "large keys", .size = 8});
  return out;
}

inline kernels::InfiniRules rules_of(const InfiniCase& c) {
  return {c.N, c.overlap, {c.write, c.features, c.read}, c.empty, c.sinks};
}

inline kernels::InfiniOperands operands(const InfiniCase& c, uint64_t seed = 1) {
  constexpr int64_t B = 2;
  Randoms random(seed);
  kernels::InfiniOperands x{random.normal({B, c.H, c.T, c.D}) * c.size, random.normal({B, c.G, c.T, c.D}) * c.size,
                            random.normal({B, c.G, c.T, c.D}), at::linspace(c.gate, 1 - c.gate, c.H)};
  x.rotation = random.rotation(c.sinks + c.overlap + c.N, c.D / 2);
  x.begun = c.begun;
  if (c.begun > 0) x.sink_k = random.normal({B, c.G, c.sinks, c.D}), x.sink_v = random.normal({B, c.G, c.sinks, c.D});
  if ((c.is_continued || c.begun > 0) && c.overlap > 0)
    x.k_before = random.normal({B, c.G, c.overlap, c.D}), x.v_before = random.normal({B, c.G, c.overlap, c.D});
  const int64_t written = c.T + (x.k_before.defined() ? c.overlap : 0);
  if (c.packing == Packing::weighted)
    x.weight = at::tensor({0.0, 1.0, 3.5}).index_select(0, at::arange(written) % 3).expand({B, written});
  if (c.packing == Packing::packed)  // texts that end anywhere, other ones in the second row
    x.document =
        at::stack({at::arange(c.T, at::kLong).div(39, "floor"), at::arange(c.T, at::kLong).div(16, "floor").div(3, "floor")});
  if (c.packing == Packing::padded)  // at the end and, in the second row, at the beginning
    x.document = at::stack({at::where(at::arange(c.T) < c.T - 9, 0, -1), at::where(at::arange(c.T) < 21, -1, 0)}).to(at::kLong);
  if (c.is_continued) {
    const int64_t F = kernels::feature_width(c.D, c.features);
    x.memory = {random.normal({B, c.G, F, c.D}), random.normal({B, c.G, F}).abs() + 1, at::full({B}, 37.0)};
  }
  return x;
}

/// The same numbers in another type, as leaves that want gradients or not.
inline kernels::InfiniOperands as(kernels::InfiniOperands x, at::ScalarType dtype, bool has_gradients = false) {
  for (auto* tensor : {&x.q, &x.k, &x.v, &x.gate, &x.rotation.cos, &x.rotation.sin, &x.k_before, &x.v_before, &x.sink_k, &x.sink_v,
                       &x.memory.M, &x.memory.z, &x.memory.n, &x.weight})
    *tensor = in_dtype(*tensor, dtype);
  if (!has_gradients) return x;
  for (auto* tensor : {&x.q, &x.k, &x.v, &x.gate, &x.k_before, &x.v_before, &x.sink_k, &x.sink_v, &x.memory.M, &x.memory.z})
    if (tensor->defined()) *tensor = tensor->detach().clone().requires_grad_(true);
  return x;
}

}  // namespace longview::testing
