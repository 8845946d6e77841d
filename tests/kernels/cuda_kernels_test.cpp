// Our CUDA kernels, compiled for the CPU and run a thread after the other, against tensor operations.
#include "tests/kernels/emulated_gpu.h"
// The kernels themselves:
#include "longview/kernels/cuda/memory.cu"
#include "longview/kernels/cuda/rows.cu"

#include <gtest/gtest.h>

#include "longview/kernels/infini_parts.h"
#include "tests/kernels/infini_fused.h"

namespace longview::kernels {
namespace {

Tensor bf16(at::IntArrayRef sizes) { return at::randn(sizes).to(at::kBFloat16); }
Tensor f32(const Tensor& x) { return x.to(at::kFloat); }

/// As near as the nearest bf16, with a little room for f32 sums in another order.
void expect_bf16(const Tensor& ours, const Tensor& exact) {
  EXPECT_TRUE(at::allclose(f32(ours), exact, 1.0 / 200, 1e-3)) << (f32(ours) - exact).abs().max().item<float>();
}

void expect_f32(const Tensor& ours, const Tensor& exact) {
  EXPECT_TRUE(at::allclose(ours, exact, 1e-4, 1e-4)) << (ours - exact).abs().max().item<float>();
}

struct Widths : ::testing::TestWithParam<int64_t> {};

TEST_P(Widths, NormAndItsGradients) {
  const int64_t rows = 37, E = GetParam();
  const Tensor x = at::randn({rows, E}), weight = at::rand({E}) + 0.5, y = bf16({rows, E}), inverse = at::empty({rows});
  row_launches().norm(x.data_ptr<float>(), weight.data_ptr<float>(), y.data_ptr(), inverse.data_ptr<float>(), rows, E, 1e-5F,
                      nullptr);
  const Tensor exact = (x.square().mean(1, true) + 1e-5).rsqrt();  // [rows,1]
  expect_f32(inverse, exact.squeeze(1));
  expect_bf16(y, x * exact * weight);
  const Tensor dy = bf16({rows, E}), passed = at::randn({rows, E}), dx = at::empty({rows, E}), parts = at::empty({kNormParts, E});
  const Tensor g = f32(dy) * weight, unit = x * exact, own = exact * (g - unit * (g * unit).mean(1, true));
  for (const bool is_passed : {false, true}) {
    row_launches().norm_backward(dy.data_ptr(), x.data_ptr<float>(), weight.data_ptr<float>(), inverse.data_ptr<float>(),
                                 is_passed ? passed.data_ptr<float>() : nullptr, dx.data_ptr<float>(), parts.data_ptr<float>(),
                                 rows, E, nullptr);
    expect_f32(dx, is_passed ? own + passed : own);
    expect_f32(parts.sum(0), (f32(dy) * unit).sum(0));
  }
}
INSTANTIATE_TEST_SUITE_P(Every, Widths, ::testing::Values(4, 64, 384, 400, 576, 1000, 2048));

TEST(CudaKernels, GateAndItsGradients) {
  const int64_t count = 4 * 777;
  const Tensor gate = bf16({count}) * 4, up = bf16({count}), dy = bf16({count}), out = bf16({count});
  row_launches().gate(gate.data_ptr(), up.data_ptr(), out.data_ptr(), count, nullptr);
  const Tensor s = at::sigmoid(f32(gate));
  expect_bf16(out, f32(gate) * s * f32(up));
  const Tensor d_gate = bf16({count}), d_up = bf16({count});
  row_launches().gate_backward(dy.data_ptr(), gate.data_ptr(), up.data_ptr(), d_gate.data_ptr(), d_up.data_ptr(), count, nullptr);
  expect_bf16(d_gate, f32(dy) * f32(up) * s * (1 + f32(gate) * (1 - s)));
  expect_bf16(d_up, f32(dy) * f32(gate) * s);
}

TEST(CudaKernels, RotationThereAndBack) {
  const int64_t rows = 26, per = 13, M = 20;
  const Tensor x = bf16({rows, 2 * M}), angle = at::rand({per, M}) * 6, cos = angle.cos(), sin = angle.sin();
  const Tensor out = at::empty_like(x), back = at::empty_like(x);
  row_launches().rotate(x.data_ptr(), cos.data_ptr<float>(), sin.data_ptr<float>(), out.data_ptr(), rows, 1, per, M, false,
                        nullptr);
  const Tensor a = f32(x).narrow(1, 0, M), b = f32(x).narrow(1, M, M), c = cos.repeat({2, 1}), s = sin.repeat({2, 1});
  expect_bf16(out, at::cat({a * c - b * s, b * c + a * s}, 1));
  row_launches().rotate(out.data_ptr(), cos.data_ptr<float>(), sin.data_ptr<float>(), back.data_ptr(), rows, 1, per, M, true,
                        nullptr);
  EXPECT_LT((f32(back) - f32(x)).abs().max().item<float>(), 0.05);
  const Tensor beside = at::empty_like(x);  // [per,2,2M]: two rows of each place
  row_launches().rotate(x.view({2, per, 2 * M}).transpose(0, 1).contiguous().data_ptr(), cos.data_ptr<float>(),
                        sin.data_ptr<float>(), beside.data_ptr(), rows, 2, per, M, false, nullptr);
  EXPECT_TRUE(at::equal(beside.view({per, 2, 2 * M}).transpose(0, 1).reshape({rows, 2 * M}), out));
}

TEST(CudaKernels, CrossEntropyAndItsGradients) {
  for (const int64_t V : {4, 256, 1000, 5000}) {
    const int64_t rows = 5;
    const Tensor logits = bf16({rows, V}) * 3, kept = f32(logits), target = at::randint(0, V, {rows}, at::kLong);
    const Tensor share = at::rand({rows}), nll = at::empty({rows}), right = at::empty({rows}, at::kBool);
    target[1] = kept[1].argmax();
    for (const bool has_gradient : {false, true})
      row_launches().cross_entropy(logits.data_ptr(), target.data_ptr<int64_t>(), share.data_ptr<float>(), nll.data_ptr<float>(),
                                   right.data_ptr<bool>(), rows, V, has_gradient, nullptr);
    expect_f32(nll, -at::log_softmax(kept, 1).gather(1, target.unsqueeze(1)).squeeze(1));
    EXPECT_TRUE(at::equal(right, kept.argmax(1) == target));
    EXPECT_TRUE(right[1].item<bool>());
    const Tensor one = at::zeros({rows, V}).scatter_(1, target.unsqueeze(1), 1);
    expect_bf16(logits, share.unsqueeze(1) * (at::softmax(kept, 1) - one));
  }
}

TEST(CudaKernels, InfiniAttentionAndItsGradients) {
  static const CudaLaunches launches{kCudaVersion, memory_launches(), row_launches()};
  testing::expect_fused_is_right(
      [](const InfiniOperands& x, const InfiniRules& rules) {
        EXPECT_EQ(infini_fused_refusal(x, rules), "");
        return infini_fused(x, rules, launches);
      },
      at::kCPU);
}

}  // namespace
}  // namespace longview::kernels
