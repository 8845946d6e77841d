// The steps of a text that is read piece by piece. On the CPU a head is a work item, whose features stay in the cache.
#include <algorithm>
#include <limits>

#include "longview/kernels/loops.h"
#include "longview/kernels/memory.h"

namespace longview::kernels {
namespace {

constexpr int64_t kWidestLanes = 16;  // the widest loops have so many

/// Whether our loops take these heads, [B,H,T,D]; `others` may want gradients too.
bool is_served(std::initializer_list<Tensor> heads, std::initializer_list<Tensor> others) {
  const auto is_plain = [](const Tensor& x) {
    return x.is_cpu() && x.scalar_type() == at::kFloat && x.size(-1) % kWidestLanes == 0 && x.stride(-1) == 1;
  };
  const auto has_gradient = [](const Tensor& x) { return x.defined() && x.requires_grad(); };
  if (!std::all_of(heads.begin(), heads.end(), is_plain)) return false;
  return !c10::GradMode::is_enabled() ||
         (std::none_of(heads.begin(), heads.end(), has_gradient) && std::none_of(others.begin(), others.end(), has_gradient));
}

struct HeadMemory {
  const float *M, *z;  // [F,D] [F]
  float tokens;        // that were written; for the centred read
};

struct HeldMemory {
  Tensor M, z, n;
  HeldMemory(const Memory& memory, ReadRule read) : M(memory.M.contiguous()), z(memory.z.contiguous()) {
    if (read == ReadRule::centred) n = memory.n.to(at::kFloat).expand({M.size(0), M.size(1)}).contiguous();  // [B,G]
  }
  HeadMemory head(int64_t number) const {
    return {M.data_ptr<float>() + number * M.size(2) * M.size(3), z.data_ptr<float>() + number * z.size(2),
            n.defined() ? n.data_ptr<float>()[number] : 0};
  }
};

struct MemoryScratch {
  std::vector<float> features, numerator, signs, read, fresh;
};

MemoryScratch& memory_scratch(int64_t width, int64_t D) {
  thread_local MemoryScratch scratch;
  scratch.features.resize(std::max<size_t>(scratch.features.size(), kMemoryRows * width));
  scratch.numerator.resize(scratch.features.size());
  scratch.signs.resize(std::max<size_t>(scratch.signs.size(), 2 * D));
  scratch.read.resize(std::max<size_t>(scratch.read.size(), kMemoryRows * D));
  scratch.fresh.resize(kMemoryRows);
  return scratch;
}

/// sigma(x) of rows [rows,D] to scratch.features.
void to_features(const float* x, int64_t stride, int64_t rows, int64_t D, FeatureMap map, MemoryScratch& scratch) {
  float* out = scratch.features.data();
  for (int64_t t = 0; t < rows; ++t, x += stride) {
    if (map == FeatureMap::elu1) {
      loops().elu1(x, D, out);
      out += D;
      continue;
    }
    float* both = scratch.signs.data();
    for (int64_t d = 0; d < D; ++d) both[d] = std::max(x[d], 0.0F), both[d + D] = std::max(-x[d], 0.0F);
    for (int64_t reach = 1; reach <= feature_width(D, map) / (2 * D); ++reach)
      for (int64_t d = 0; d < 2 * D; ++d) *out++ = both[d] * both[d >= reach ? d - reach : d - reach + 2 * D];
  }
}

/// What the features in `scratch` read with; fills scratch.numerator where it is not themselves.
const float* numerator_of(const HeadMemory& memory, int64_t rows, int64_t width, ReadRule rule, MemoryScratch& scratch) {
  if (rule == ReadRule::plain) return scratch.features.data();
  const float part = 1 / std::max(memory.tokens, 1.0F);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t f = 0; f < width; ++f) scratch.numerator[t * width + f] = scratch.features[t * width + f] - memory.z[f] * part;
  return scratch.numerator.data();
}

/// How much of each key is new: 1 - sigma(k) z / |sigma(k)|^2, between 0 and 1 (memory.cpp).
void to_novelty(const HeadMemory& memory, int64_t rows, int64_t width, MemoryScratch& scratch) {
  for (int64_t t = 0; t < rows; ++t) {
    const float* k = scratch.features.data() + t * width;
    float known = 0, size = 0;
    for (int64_t f = 0; f < width; ++f) known += k[f] * memory.z[f], size += k[f] * k[f];
    scratch.fresh[t] = std::clamp(1 - known / std::max(size, std::numeric_limits<float>::min()), 0.0F, 1.0F);
  }
}

void fold_head(const float* k, int64_t stride_k, const float* v, int64_t stride_v, int64_t tokens, int64_t D,
               const HeadMemory* memory, const MemoryRules& rules, float* M, float* z) {
  const int64_t width = feature_width(D, rules.features);
  MemoryScratch& scratch = memory_scratch(width, D);
  to_features(k, stride_k, tokens, D, rules.features, scratch);
  const bool is_reading = memory != nullptr && rules.write != WriteRule::linear;
  if (is_reading) {
    float* read = scratch.read.data();
    loops().memory_read({scratch.features.data(), numerator_of(*memory, tokens, width, rules.read, scratch), memory->M, memory->z,
                         tokens, width, D, nullptr, read, D, 1});
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t d = 0; d < D; ++d) read[t * D + d] = v[t * stride_v + d] - read[t * D + d];
  }
  const bool is_corrected = is_reading && rules.write == WriteRule::corrected_delta;
  if (is_corrected) to_novelty(*memory, tokens, width, scratch);
  loops().memory_write({scratch.features.data(), is_reading ? scratch.read.data() : v,
                        is_corrected ? scratch.fresh.data() : nullptr, tokens, width, D, is_reading ? D : stride_v, M, z});
}

Tensor copy_or_zeros(const Tensor& x, at::IntArrayRef sizes) {
  return x.defined() ? x.clone(at::MemoryFormat::Contiguous) : at::zeros(sizes, at::kFloat);
}

}  // namespace

Tensor memory_mix(const Tensor& q, const Tensor& gate, const Memory& memory, Tensor local, const MemoryRules& rules) {
  const Shapes sizes = Shapes("memory_mix")("q", q, "B H T D")("gate", gate, "H")("local", local, "B H T D")(
      "M", memory.M, "B G F D")("z", memory.z, "B G F");
  const int64_t B = sizes['B'], H = sizes['H'], T = sizes['T'], D = sizes['D'], G = sizes['G'], R = H / G;
  LV_CHECK(H % G == 0, "[memory_mix] {} query heads do not share {} memories", H, G);
  if (!is_served({q, local}, {gate, memory.M, memory.z})) {
    const Tensor sq = features(q.reshape({B, G, R * T, D}), rules.features);                          // [B,G,R*T,F]
    const Tensor live = at::ones({1, 1, 1}, sq.options());                                            // [1,1,1]
    const Tensor read = memory_read(sq, memory, live, rules).view({B, H, T, D}).to(local.options());  // [B,H,T,D]
    return local + gate.to(local.options()).view({1, H, 1, 1}) * (read - local);
  }
  const HeldMemory held(memory, rules.read);
  const Tensor gates = gate.to(at::kFloat).contiguous();  // [H]
  const int64_t width = memory.M.size(2), pieces = (T + kMemoryRows - 1) / kMemoryRows;
  const float *in = q.data_ptr<float>(), *open = gates.data_ptr<float>();
  float* out = local.data_ptr<float>();
  const auto from = q.strides(), to = local.strides();
  at::parallel_for(0, B * H * pieces, kLeastWork / (std::min(T, kMemoryRows) * width * D) + 1, [&](int64_t begin, int64_t end) {
    MemoryScratch& scratch = memory_scratch(width, D);
    for (int64_t item = begin; item < end; ++item) {
      const int64_t b = item / pieces / H, h = item / pieces % H, t = item % pieces * kMemoryRows,
                    rows = std::min(kMemoryRows, T - t);
      const HeadMemory head = held.head(b * G + h / R);
      to_features(in + b * from[0] + h * from[1] + t * from[2], from[2], rows, D, rules.features, scratch);
      float* own = out + b * to[0] + h * to[1] + t * to[2];
      loops().memory_read({scratch.features.data(), numerator_of(head, rows, width, rules.read, scratch), head.M, head.z, rows,
                           width, D, own, own, to[2], open[h]});
    }
  });
  return local;
}

Memory memory_fold(const Tensor& k, const Tensor& v, int64_t block, const Memory& memory, const Memory& sum,
                   const MemoryRules& rules) {
  const Shapes sizes = Shapes("memory_fold")("k", k, "B G T D")("v", v, "B G T D");
  const int64_t B = sizes['B'], G = sizes['G'], T = sizes['T'], D = sizes['D'], width = feature_width(D, rules.features);
  const bool is_there = memory.M.defined();
  if (!is_served({k, v}, {memory.M, memory.z, sum.M, sum.z}) || block > kMemoryRows) {
    Memory out = sum, old = memory;
    for (int64_t first = 0; first < T; first += block) {
      const int64_t count = std::min(block, T - first);
      const auto cut = [&](const Tensor& x) { return exact(x.narrow(2, first, count)).contiguous(); };  // [B,G,count,D]
      const Tensor sk = features(cut(k), rules.features), live = at::full({1, 1, 1}, is_there ? 1.0 : 0.0, sk.options());
      if (!old.M.defined())
        old = {at::zeros({B, G, width, D}, sk.options()), at::zeros({B, G, width}, sk.options()), at::zeros({1, 1}, sk.options())};
      const Memory more = memory_write(sk, cut(v), at::ones({1, 1, count}, sk.options()), old, live, rules);
      out.M = out.M.defined() ? out.M + more.M : more.M, out.z = out.z.defined() ? out.z + more.z : more.z;
    }
    return out;
  }
  const Memory out{copy_or_zeros(sum.M, {B, G, width, D}), copy_or_zeros(sum.z, {B, G, width}), {}};
  const std::optional<HeldMemory> held = is_there ? std::optional<HeldMemory>(std::in_place, memory, rules.read) : std::nullopt;
  float *M = out.M.data_ptr<float>(), *z = out.z.data_ptr<float>();
  const float *keys = k.data_ptr<float>(), *values = v.data_ptr<float>();
  const auto at_k = k.strides(), at_v = v.strides();
  at::parallel_for(0, B * G, kLeastWork / std::max<int64_t>(T * width * D, 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const HeadMemory head = held ? held->head(n) : HeadMemory{};
      for (int64_t t = 0; t < T; t += block)
        fold_head(keys + n / G * at_k[0] + n % G * at_k[1] + t * at_k[2], at_k[2],
                  values + n / G * at_v[0] + n % G * at_v[1] + t * at_v[2], at_v[2], std::min(block, T - t), D,
                  held ? &head : nullptr, rules, M + n * width * D, z + n * width);
    }
  });
  return out;
}

}  // namespace longview::kernels
