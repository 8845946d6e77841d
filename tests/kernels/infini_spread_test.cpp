// A text that is spread over ranks: outputs, memory and gradients of every rank's part are those of the whole text in one process.
#include "longview/kernels/infini_spread.h"

#include "tests/parallel/ranks.h"

namespace longview::kernels {
namespace {

struct Case {
  std::string name;
  bool has_documents = false, has_weights = false, has_start = false;
  ReadRule read = ReadRule::plain;
};

constexpr int64_t B = 2, H = 4, G = 2, N = 4, S = 8, T = N * S, D = 8;

/// The same numbers on every rank.
InfiniOperands operands(const Case& c) {
  int64_t seed = 0;
  const auto wave = [&](at::IntArrayRef shape) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    return (at::arange(count, at::kDouble) * (1.7 + 0.1 * static_cast<double>(++seed))).sin().view(shape);
  };
  InfiniOperands x{.q = wave({B, H, T, D}), .k = wave({B, G, T, D}), .v = wave({B, G, T, D}), .gate = wave({H}).sigmoid()};
  if (c.has_documents) {
    x.document = at::zeros({B, T}, at::kLong);
    x.document[0].narrow(0, 11, T - 11).fill_(1), x.document[0].narrow(0, 27, 5).fill_(2);      // changes inside segments
    x.document[1].narrow(0, 16, T - 16).fill_(3), x.document[1].narrow(0, T - 3, 3).fill_(-1);  // and between parts
  }
  if (c.has_weights) x.weight = (at::arange(B * T, at::kDouble).view({B, T}) % 3).to(at::kFloat);
  if (c.has_start) x.memory = {wave({B, G, D, D}), wave({B, G, D}).square() + 1, at::full({B}, 5, at::kDouble)};
  return x;
}

struct Outcome {
  Tensor out, M, z, n, q, k, v;
};

/// Tokens [first, first + count), and the gradients of a sum over outputs.
Outcome computed(const InfiniOperands& all, int64_t first, int64_t count, ReadRule read, Communicator* ranks) {
  const auto cut = [&](const Tensor& x, int64_t dim) { return x.defined() ? x.narrow(dim, first, count).contiguous() : x; };
  InfiniOperands x = all;
  for (Tensor* y : {&x.q, &x.k, &x.v}) *y = cut(*y, 2).requires_grad_();
  x.document = cut(all.document, 1), x.weight = cut(all.weight, 1);
  InfiniRules rules{N, 0, {}, EmptyMemory::bypass};
  rules.memory.read = read;
  SpreadMemory spread;
  if (ranks != nullptr) spread = spread_memory(x, rules, *ranks), x.memory = spread.before;
  const auto result = infini_parallel(x, rules);
  const Tensor weight = cut((at::arange(B * H * T * D, at::kDouble) * 0.37).cos().view({B, H, T, D}), 2);
  (result.out * weight).sum().backward();
  const Memory& end = ranks != nullptr ? spread.after : result.memory;
  return {result.out.detach(), end.M.detach(), end.z.detach(), end.n, x.q.grad(), x.k.grad(), x.v.grad()};
}

TEST(InfiniSpread, IsTheWholeText) {
  for (const Case& c : {Case{"plain", false, false, false}, Case{"start", false, false, true}, Case{"weights", false, true, true},
                        Case{"documents", true, true, false}, Case{"centred", true, false, true, ReadRule::centred}}) {
    SCOPED_TRACE(c.name);
    const Outcome whole = computed(operands(c), 0, T, c.read, nullptr);
    for (const int64_t size : {2, 4})
      testing::expect_none(testing::on_ranks(size, [&](const auto& ranks) {
        const int64_t count = T / size, first = ranks->rank() * count;
        const Outcome part = computed(operands(c), first, count, c.read, ranks.get());
        const auto expect_same = [&](const char* what, const Tensor& a, const Tensor& b) {
          EXPECT_LT((a - b).abs().max().item<double>(), 1e-12) << what << " on rank " << ranks->rank() << " of " << size;
        };
        expect_same("out", part.out, whole.out.narrow(2, first, count));
        expect_same("q", part.q, whole.q.narrow(2, first, count));
        expect_same("k", part.k, whole.k.narrow(2, first, count));
        expect_same("v", part.v, whole.v.narrow(2, first, count));
        expect_same("M", part.M, whole.M), expect_same("z", part.z, whole.z), expect_same("n", part.n, whole.n);
      }));
  }
}

TEST(InfiniSpread, SaysWhatCannotBeSpread) {
  const auto ranks = one_rank();
  InfiniRules rules{N, 0, {}, EmptyMemory::bypass};
  rules.memory.write = WriteRule::delta;
  EXPECT_THROW(spread_memory(operands({}), rules, *ranks), Error);
  rules = {N * S - 1, 0, {}, EmptyMemory::bypass};
  EXPECT_THROW(spread_memory(operands({}), rules, *ranks), Error);
}

}  // namespace
}  // namespace longview::kernels
