// The formulas of Table 1, in its letters: d_k = d_v = D, H heads, l layers, N tokens a segment. Where query heads share key heads the
// caches and the memory count key heads. Ours differs twice: of compressed tokens it keeps keys and values, not hidden states; and of a
// recurrent memory the vectors beside their keys and values, which count key heads.
#include "longview/model/footprint.h"

#include <array>

namespace longview {
namespace {

constexpr std::array kPresets{
    Preset{"paper", "arXiv:2404.07143, Table 2", 12, 1024, 8, 8, 128, 2048},
    Preset{"smollm2-135m", "SmolLM2-135M", 30, 576, 9, 3, 64, 2048},
    Preset{"llama3-8b", "Llama-3-8B", 32, 4096, 32, 8, 128, 2048},
};

}  // namespace

std::span<const Preset> presets() { return kPresets; }

std::vector<Footprint> footprints(const Preset& p, int64_t length) {
  constexpr int64_t kSummary = 100;  // vectors of the recurrent memory, the best of the paper's search
  const int64_t D = p.head_width, G = p.kv_heads, N = p.segment, l = p.layers, keys = 2 * D * G;  // values of a token in a layer
  const int64_t local = keys * N * l;
  const int64_t heads = D * G, summary = keys * kSummary * l + p.width * kSummary;
  return {
      {"full attention", "(d_k + d_v) H T l", keys * length * l, keys * length * l, 0},
      {"transformer_xl", "(d_k + d_v) H N l", local, local, local},
      {"compressive", "d_model (c + N) l, c = N", p.width * 2 * N * l, 2 * local, local},
      {"memorizing", "(d_k + d_v) H T, one layer, beside Transformer-XL's", keys * length + local, keys * length + local, local},
      {"recurrent_memory", "2 d_model p l, p = 100", 2 * p.width * kSummary * l, summary, local},
      {"infini", "d_k (d_v + 1) H l", heads * (D + 1) * l, heads * (D + 1) * l, local},
  };
}

}  // namespace longview
