// Norm, gate, rotation and shared products against autograd's own, and as functions of bf16.
#include "longview/kernels/gradients.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "longview/kernels/elementwise.h"
#include "tests/kernels/error.h"

namespace longview::kernels {
namespace {

using Leaves = std::vector<Tensor>;
using Form = std::function<Leaves(const Leaves&)>;

/// Gradients of one number that all results go into.
Leaves gradients(const Form& form, const Leaves& at) {
  Leaves leaves;
  for (const auto& x : at) leaves.push_back(x.clone().requires_grad_(true));
  Tensor sum = at::zeros({}, leaves[0].options().requires_grad(false));
  for (const auto& y : form(leaves))
    sum =
        sum + (y.to(sum.scalar_type()) * at::linspace(-1, 1, y.numel(), sum.options().requires_grad(false)).view(y.sizes())).sum();
  return torch::autograd::grad({sum}, leaves);
}

/// In f64 to the last digits, in f32 and bf16 within what the type can say.
void expect_same(const Form& ours, const Form& plain, const Leaves& at, bool has_bf16 = true) {
  const auto in = [&](at::ScalarType type) {
    Leaves out;
    for (const auto& x : at) out.push_back(x.to(type));
    return out;
  };
  for (const auto& [type, bound] : {std::pair{at::kDouble, 1e-12}, {at::kFloat, 1e-5}, {at::kBFloat16, 3e-2}}) {
    if (type == at::kBFloat16 && !has_bf16) continue;
    const Leaves x = in(type), exact = in(at::kDouble);
    const auto results = ours(x), expected = plain(exact), grads = gradients(ours, x), slopes = gradients(plain, exact);
    for (size_t n = 0; n < results.size(); ++n)
      EXPECT_LT(testing::largest_difference(results[n].to(at::kDouble), expected[n]),
                bound * expected[n].abs().max().item<double>());
    for (size_t n = 0; n < grads.size(); ++n)
      EXPECT_LT(testing::largest_difference(grads[n].to(at::kDouble), slopes[n]), bound * slopes[n].abs().max().item<double>())
          << n;
  }
}

TEST(Gradients, OfANormAndWhatPassesBesideIt) {
  const Leaves at{at::randn({3, 5, 24}), at::rand({24}) + 0.5};
  const auto plain = [](const Leaves& x) { return Leaves{at::rms_norm(x[0], {24}, x[1], 1e-5), x[0] * 2}; };
  const auto ours = [](const Leaves& x) {
    const auto out = norm_with_gradient(x[0], x[1], 1e-5, x[0].scalar_type());
    return Leaves{out.y, out.x * 2};
  };
  expect_same(ours, plain, at, false);
  const auto alone = [](const Leaves& x) { return Leaves{rms_norm(x[0], x[1], 1e-5)}; };
  expect_same(
      alone, [](const Leaves& x) { return Leaves{at::rms_norm(x[0], {24}, x[1], 1e-5)}; }, at, false);
}

TEST(Gradients, OfANormFromF32ToBf16) {  // the residual stream, and what products take
  const Tensor x = at::randn({9, 24}).requires_grad_(true), weight = (at::rand({24}) + 0.5).requires_grad_(true);
  const auto [same, y] = norm_beside(x, weight, 1e-5, at::kBFloat16);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_EQ(same.scalar_type(), at::kFloat);
  const Tensor exact = at::rms_norm(x, {24}, weight, 1e-5), dy = at::randn({9, 24}).to(at::kBFloat16);
  const Tensor ulp = exact.detach().abs() / 128;  // sums in another order may fall to the other side
  EXPECT_TRUE((y.detach().to(at::kFloat) - exact.detach()).abs().le(ulp).all().item<bool>());
  const auto ours = torch::autograd::grad({(y * dy).sum() + same.sum()}, {x, weight});
  const auto plain = torch::autograd::grad({(exact * dy).sum() + x.sum()}, {x, weight});
  for (size_t n = 0; n < ours.size(); ++n) EXPECT_LT(testing::largest_difference(ours[n], plain[n]), 1e-4) << n;
}

TEST(Gradients, OfTheGate) {
  expect_same([](const Leaves& x) { return Leaves{gate_with_gradient(x[0], x[1])}; },
              [](const Leaves& x) { return Leaves{at::silu(x[0]) * x[1]}; }, {at::randn({7, 12}), at::randn({7, 12})});
}

TEST(Gradients, OfARotation) {
  const Tensor angle = at::rand({6, 4}, at::kDouble) * 6;
  const Rotation rotation{angle.cos(), angle.sin()};
  expect_same([&](const Leaves& x) { return Leaves{rotate_with_gradient(x[0].transpose(0, 1), rotation)}; },
              [&](const Leaves& x) { return Leaves{rotate(x[0].transpose(0, 1), rotation)}; }, {at::randn({2, 3, 6, 8})});
  const auto laid_out = [&](auto view, at::IntArrayRef sizes) {  // places anywhere among the dimensions in memory
    expect_same([&](const Leaves& x) { return Leaves{rotate_with_gradient(view(x[0]), rotation)}; },
                [&](const Leaves& x) { return Leaves{rotate(view(x[0]), rotation)}; }, {at::randn(sizes)});
  };
  laid_out([](const Tensor& x) { return x.transpose(1, 2); }, {2, 6, 3, 8});                    // [B,T,H,D] as [B,H,T,D]
  laid_out([](const Tensor& x) { return x.permute({0, 3, 1, 4, 2, 5}); }, {2, 3, 6, 2, 3, 8});  // [B,S,N,G,R,D] as [B,G,S,R,N,D]
  laid_out([](const Tensor& x) { return x.transpose(0, 2); }, {6, 2, 3, 8});  // places outermost: [T,B,H,D] as [H,B,T,D]
  laid_out([](const Tensor& x) { return x.narrow(1, 1, 6).transpose(1, 2); }, {2, 9, 3, 8});  // not all of it
  const Tensor as_given = at::randn({2, 6, 3, 8}).transpose(1, 2);
  EXPECT_EQ(rotate_with_gradient(as_given, rotation).strides(), as_given.strides());
  const Tensor wide = at::randn({2, 6, 10});  // more than its pairs: what is not rotated stays
  EXPECT_TRUE(at::equal(rotate_with_gradient(wide, rotation), rotate(wide, rotation)));
}

TEST(Gradients, OfSeveralProductsOfOneInput) {
  const auto plain = [](const Leaves& x) {
    Leaves out;
    for (size_t n = 1; n < x.size(); ++n) out.push_back(at::linear(x[0], x[n]));
    return out;
  };
  const auto ours = [](const Leaves& x) { return products_with_gradient(x[0], {x.begin() + 1, x.end()}); };
  expect_same(ours, plain, {at::randn({2, 5, 8}), at::randn({4, 8}), at::randn({6, 8})});
  expect_same(ours, plain, {at::randn({2, 5, 8}), at::randn({4, 8}), at::randn({4, 8}), at::randn({12, 8})});
  const Tensor x = at::randn({5, 8}).requires_grad_(true), a = at::randn({4, 8}), b = at::randn({4, 8}).requires_grad_(true);
  const auto out = products_with_gradient(x, {a, b});  // one is frozen, one has no use
  const auto grads = torch::autograd::grad({out[0].sum()}, {x, b}, {}, std::nullopt, false, true);
  EXPECT_LT(testing::largest_difference(grads[0], a.sum(0).expand({5, 8})), 1e-5);
}

}  // namespace
}  // namespace longview::kernels
