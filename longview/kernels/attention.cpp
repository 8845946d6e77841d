// Checks of attention's operands and the choice of implementation.
#include "longview/kernels/attention.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "longview/base/names.h"

namespace longview::kernels {
namespace {

std::string never_refuses(const Tensor&, const std::vector<KeySet>&, const Tensor&) { return ""; }

constexpr std::array kKernels{
    AttentionKernel{"cpu", "register tiles, rows as lanes, f32", attention_cpu_refusal, attention_cpu},
    AttentionKernel{"sdpa", "LibTorch's scaled dot product attention: gradients, and flash attention on a GPU",
                    attention_sdpa_refusal, attention_sdpa},
    AttentionKernel{"ref", "the definition in plain tensor operations, any dtype", never_refuses, attention_ref},
};

void check(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale) {
  Shapes shapes("attention");
  shapes("q", q, "B H T D")("scale", scale, "T");
  for (const auto& set : sets) {
    Shapes one("attention");
    one("q", q, "B H T D")("k", set.k, "B G K D")("v", set.v, "B G K D");
    LV_CHECK(one['H'] % one['G'] == 0, "[attention] {} query heads do not share {} key heads evenly", one['H'], one['G']);
    const auto rows = static_cast<size_t>(one['T']);
    LV_CHECK(set.from.size() == rows && set.to.size() == rows, "[attention] a range is needed for each of {} queries", rows);
    for (size_t t = 0; t < rows; ++t)
      LV_CHECK(set.to[t] <= set.from[t] || (set.from[t] >= 0 && set.to[t] <= one['K']),
               "[attention] query {} sees keys {} to {} of {}", t, set.from[t], set.to[t], one['K']);
    if (set.query.cos.defined()) one("query.cos", set.query.cos, "T M")("query.sin", set.query.sin, "T M");
    if (set.query.cos.defined()) one("key.cos", set.key.cos, "K M")("key.sin", set.key.sin, "K M");
    if (set.bias.defined()) one("bias", set.bias, set.bias.size(0) == 1 ? "1 T K" : "H T K");
  }
}

}  // namespace

std::span<const AttentionKernel> attention_kernels() { return kKernels; }

bool needs_gradient(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale) {
  if (!c10::GradMode::is_enabled()) return false;
  if (q.requires_grad() || scale.requires_grad()) return true;
  return std::any_of(sets.begin(), sets.end(), [](const KeySet& set) {
    return set.k.requires_grad() || set.v.requires_grad() || (set.bias.defined() && set.bias.requires_grad());
  });
}

Tensor attention(const Tensor& q, const std::vector<KeySet>& sets, const Tensor& scale) {
  check(q, sets, scale);
  static const char* const forced = std::getenv("LONGVIEW_KERNEL");
  for (const auto& kernel : kKernels) {
    if (forced != nullptr && *forced != '\0' && kernel.name != forced) continue;
    const std::string why = kernel.refusal(q, sets, scale);
    if (why.empty()) return kernel.run(q, sets, scale);
    LV_CHECK(forced == nullptr || *forced == '\0', "[attention] LONGVIEW_KERNEL={}: {}", kernel.name, why);
  }
  std::vector<std::string> known;
  for (const auto& kernel : kKernels) known.emplace_back(kernel.name);
  fail("[attention] LONGVIEW_KERNEL: {}", unknown_name("kernel", forced, known));
}

}  // namespace longview::kernels
