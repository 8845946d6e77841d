// One table of cases for attention: what tests and benchmarks run.
#pragma once

#include <numeric>

#include "longview/kernels/attention.h"

namespace longview::testing {

enum class Ranges { causal, random, blind };  // each query its past; any stretch or nothing; every second query nothing

struct SetCase {
  int64_t keys = 100, first = 0;
  Ranges ranges = Ranges::causal;
  int64_t window = 0;  // a query's newest keys that it sees; 0: all
};

struct AttentionCase {
  const char* name;
  int64_t B = 1, H = 6, G = 2, T = 100, D = 64, pairs = 32;  // pairs: rotated, 0 for none
  double size = 1;                                           // of the queries
  std::vector<SetCase> sets = {{}};
};

inline const std::vector<AttentionCase> kAttentionCases{
    {.name = "full"},
    {.name = "one row, one key", .T = 1, .sets = {{.keys = 1}}},
    {.name = "one row, 1,000 keys", .T = 1, .sets = {{.keys = 1000}}},
    {.name = "65 rows", .H = 1, .G = 1, .T = 65, .sets = {{.keys = 65}}},
    {.name = "1,000 keys, 400 rows a head", .H = 8, .G = 2, .T = 100, .D = 32, .pairs = 16, .sets = {{.keys = 1000}}},
    {.name = "any ranges", .T = 70, .sets = {{.keys = 600, .ranges = Ranges::random}}},
    {.name = "rows that see nothing", .T = 70, .sets = {{.keys = 90, .ranges = Ranges::blind}}},
    {.name = "no keys", .T = 3, .sets = {{.keys = 0, .ranges = Ranges::blind}}},
    {.name = "three sets",
     .B = 2,
     .T = 70,
     .sets = {{.keys = 5, .ranges = Ranges::random}, {.keys = 0, .ranges = Ranges::blind}, {.keys = 600, .first = 77}}},
    {.name = "a set in the middle of a text", .T = 50, .sets = {{.keys = 700, .first = 1000000007}}},
    {.name = "a window of 40", .B = 2, .T = 300, .sets = {{.keys = 300, .window = 40}}},
    {.name = "a window of 100 and what is before the queries", .T = 450, .sets = {{.keys = 600, .window = 100}}},
    {.name = "heads of 20", .D = 20, .pairs = 10},
    {.name = "heads of 7, not all rotated", .D = 7, .pairs = 2},
    {.name = "heads of 128, not rotated", .T = 40, .D = 128, .pairs = 0, .sets = {{.keys = 300}}},
    {.name = "large scores", .T = 90, .size = 30},
    {.name = "tiny scores", .T = 90, .size = 1e-20},
};

inline void PrintTo(const AttentionCase& c, std::ostream* out) { *out << c.name; }

struct AttentionOperands {
  Tensor q, scale;
  std::vector<kernels::KeySet> sets;
};

inline Tensor in_dtype(const Tensor& x, at::ScalarType dtype) { return x.defined() ? x.to(dtype) : x; }

/// The same numbers in another dtype.
inline AttentionOperands as(const AttentionOperands& x, at::ScalarType dtype) {
  AttentionOperands out{x.q.to(dtype), x.scale.to(dtype), x.sets};
  for (auto& set : out.sets) {
    set.k = set.k.to(dtype), set.v = set.v.to(dtype);
    for (auto* rotation : {&set.query, &set.key})
      rotation->cos = in_dtype(rotation->cos, dtype), rotation->sin = in_dtype(rotation->sin, dtype);
  }
  return out;
}

class Randoms {
 public:
  explicit Randoms(uint64_t seed) : generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}
  Tensor normal(at::IntArrayRef sizes) { return at::randn(sizes, generator_, at::TensorOptions().dtype(at::kFloat)); }
  int64_t below(int64_t end) { return at::randint(end, {1}, generator_, at::kLong).item<int64_t>(); }
  kernels::Rotation rotation(int64_t T, int64_t pairs) {
    if (pairs == 0) return {};
    const Tensor angle = normal({T, pairs}).to(at::kDouble) * 100;
    return {angle.cos().to(at::kFloat), angle.sin().to(at::kFloat)};
  }

 private:
  at::Generator generator_;
};

inline AttentionOperands operands(const AttentionCase& c, uint64_t seed = 1) {
  Randoms random(seed);
  AttentionOperands out{random.normal({c.B, c.H, c.T, c.D}) * c.size, {}, {}};
  out.scale = (random.normal({c.T}).abs() + 0.5) / std::sqrt(static_cast<double>(c.D));
  for (const auto& s : c.sets) {
    kernels::KeySet set{.k = random.normal({c.B, c.G, s.keys, c.D}),
                        .v = random.normal({c.B, c.G, s.keys, c.D}),
                        .query = {},
                        .key = {},
                        .from = {},
                        .to = {},
                        .first = s.first};
    set.query = random.rotation(c.T, c.pairs), set.key = random.rotation(s.keys, c.pairs);
    for (int64_t t = 0; t < c.T; ++t) {
      const int64_t past = s.keys - c.T + t + 1;
      const int64_t from = s.ranges == Ranges::random ? random.below(s.keys)
                           : s.window == 0            ? 0
                                                      : std::max<int64_t>(past - s.window, 0);
      const bool is_blind = s.ranges == Ranges::blind && (t % 2 == 0 || s.keys == 0);
      set.from.push_back(from);
      set.to.push_back(is_blind ? from : s.ranges == Ranges::random ? from + random.below(s.keys - from + 1) : past);
    }
    out.sets.push_back(std::move(set));
  }
  return out;
}

}  // namespace longview::testing
