// Dual chunk attention (arXiv:2402.17463): keys stand at j mod s in chunks of s; where a query stands depends on how many chunks away.
//   same chunk: i mod s      the one before: min(i mod s + s, limit - 1)      older: limit - 1
// The paper's limit is the trained length. The authors' code has s + its local window there, one more; give limit to follow it.
#include "longview/position/methods.h"

namespace longview {
namespace {

struct DualChunkConfig {
  int64_t chunk = 0, limit = 0;
  void fields(auto&& field) {
    field("chunk", chunk, "tokens a chunk; 0: three quarters of the trained length");
    field("limit", limit, "distances stay below; 0: the trained length");
  }
};

struct DualChunk final : Distances {
  DualChunk(DualChunkConfig config, const Rotary& rotary) : Distances(rotary), c(config) {}
  Tensor distance(const Tensor& i, const Tensor& j) const override {
    const auto s = c.chunk, last = c.limit - 1;
    const Tensor chunks = (i.floor_divide(s).unsqueeze(-1) - j.floor_divide(s));  // [Tq,Tk]
    const Tensor r = i.remainder(s).unsqueeze(-1);                                // [Tq,1]
    const Tensor query = at::where(chunks <= 0, r, at::where(chunks == 1, (r + s).clamp_max(last), at::full({}, last, at::kLong)));
    return (query - j.remainder(s)).to(at::kDouble);  // [Tq,Tk]
  }
  Pieces pieces() const override {
    const int64_t s = c.chunk, last = c.limit - 1;
    const Place key([s](int64_t j) { return static_cast<double>(j % s); });
    const auto begin = [s](int64_t i, int64_t before) { return std::max<int64_t>(i / s - before, 0) * s; };
    return std::vector{
        Piece{[begin](int64_t i) { return std::pair(int64_t{0}, begin(i, 1)); },
              Place([last](int64_t) { return static_cast<double>(last); }), key},
        Piece{[begin](int64_t i) { return std::pair(begin(i, 1), begin(i, 0)); },
              Place([s, last](int64_t i) { return static_cast<double>(std::min(i % s + s, last)); }), key},
        Piece{[begin](int64_t i) { return std::pair(begin(i, 0), i + 1); }, key, key},
    };
  }
  std::string anchor() const override { return "its chunks are counted from the start of the text"; }
  DualChunkConfig c;
};

}  // namespace

std::shared_ptr<const Position> make_dual_chunk(const Setting& setting, const Rotary& rotary) {
  auto c = with_values(DualChunkConfig{}, setting);
  LV_CHECK(!setting.values.contains("chunk") || c.chunk >= 1, "[dual_chunk] chunk must be at least 1; got {}", c.chunk);
  if (c.limit == 0) c.limit = rotary.trained_length;
  if (c.chunk == 0) c.chunk = std::max<int64_t>(c.limit * 3 / 4, 1);
  LV_CHECK(c.limit >= c.chunk, "[dual_chunk] limit must be at least the chunk of {}; got {}", c.chunk, c.limit);
  return made<DualChunk>("dual_chunk", c, rotary);
}

}  // namespace longview
