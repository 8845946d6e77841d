// Cross-entropy in chunks against the plain formula.
#include "longview/kernels/cross_entropy.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace longview::kernels {
namespace {

TEST(CrossEntropy, EqualsThePlainFormulaAndItsGradients) {
  const auto wide = at::TensorOptions().dtype(at::kDouble);
  const Tensor targets = at::randint(0, 37, {23}, at::kLong), share = at::rand({23}, wide);
  const auto leaf = [&](const Tensor& x) { return x.clone().set_requires_grad(true); };
  const Tensor hidden = at::randn({23, 8}, wide), head = at::randn({37, 8}, wide);
  Tensor h = leaf(hidden), w = leaf(head);
  const Tensor plain = at::log_softmax(at::matmul(h, w.t()), -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1).neg();  // [T]
  const auto expected = torch::autograd::grad({(plain * share).sum() * 3}, {h, w});
  for (const int64_t chunk : {0, 1, 7, 23, 100}) {
    const auto out = cross_entropy(h, w, targets, share, chunk);
    EXPECT_LT((out.nll - plain.detach()).abs().max().item<double>(), 1e-12);
    EXPECT_TRUE(out.right.equal(at::matmul(hidden, head.t()).argmax(-1).eq(targets)));
    const auto grads = torch::autograd::grad({out.loss * 3}, {h, w});
    for (size_t n = 0; n < 2; ++n) EXPECT_LT((grads[n] - expected[n]).abs().max().item<double>(), 1e-12) << chunk;
  }
}

}  // namespace
}  // namespace longview::kernels
