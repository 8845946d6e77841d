// Infini-attention on one device, forward and backward, beside what it is measured by: a loop over segments as public replicas write it,
// library attention inside segments without a memory, and full causal attention. One JSON line each; nothing is timed that does not pass.
//   longview_bench_infini [--device cuda|cpu] [--heads 8] [--kv-heads 8] [--width 128] [--segment 2048] [--lengths 32768,131072] [--repeat 20]
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/autograd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <numeric>

#include "longview/base/device.h"
#include "longview/base/json.h"
#include "longview/kernels/infini.h"
#include "tests/kernels/error.h"

namespace longview {
namespace {

using kernels::InfiniOperands;
using kernels::InfiniRules;

struct Options {
  std::string device = "auto", lengths = "32768,131072";
  int64_t heads = 8, kv_heads = 8, width = 128, segment = 2048, repeat = 20;
  bool has_slow = true;
};

using Form = std::function<Tensor(const InfiniOperands&)>;

void wait(at::Device device) { wait_for(device); }

Tensor per_head(const Tensor& x, int64_t heads) { return x.repeat_interleave(heads / x.size(1), 1); }

/// Segment after segment, memory in f32, the way the public replicas do it.
Tensor loop_over_segments(const InfiniOperands& x, int64_t N) {
  const int64_t H = x.q.size(1), D = x.q.size(3);
  const auto options = x.q.options().dtype(at::kFloat);
  Tensor M = at::zeros({x.q.size(0), H, D, D}, options), z = at::zeros({x.q.size(0), H, D, 1}, options);
  const Tensor gate = x.gate.view({1, H, 1, 1}), keys = per_head(x.k, H), values = per_head(x.v, H);
  std::vector<Tensor> outs;
  for (int64_t first = 0; first < x.q.size(2); first += N) {
    const Tensor q = x.q.narrow(2, first, N), k = keys.narrow(2, first, N), v = values.narrow(2, first, N);
    const Tensor local = at::scaled_dot_product_attention(q, k, v, {}, 0.0, true);
    const Tensor sq = at::elu(q.to(at::kFloat)) + 1, sk = at::elu(k.to(at::kFloat)) + 1;
    const Tensor read = first == 0 ? local.to(at::kFloat) : at::matmul(sq, M) / at::matmul(sq, z);
    M = M + at::matmul(sk.transpose(-1, -2), v.to(at::kFloat)), z = z + sk.sum(2).unsqueeze(-1);
    outs.push_back((gate * read + (1 - gate) * local).to(q.scalar_type()));
  }
  return at::cat(outs, 2);
}

Tensor segments_alone(const InfiniOperands& x, int64_t N) {
  const int64_t B = x.q.size(0), H = x.q.size(1), S = x.q.size(2) / N, D = x.q.size(3);
  const auto cut = [&](const Tensor& y) { return per_head(y, H).reshape({B, H * S, N, D}); };
  return at::scaled_dot_product_attention(cut(x.q), cut(x.k), cut(x.v), {}, 0.0, true).view_as(x.q);
}

Tensor full(const InfiniOperands& x) {
  return at::scaled_dot_product_attention(x.q, per_head(x.k, x.q.size(1)), per_head(x.v, x.q.size(1)), {}, 0.0, true);
}

InfiniOperands operands(const Options& o, int64_t T, at::Device device) {
  const auto options = at::TensorOptions().device(device);
  const auto dtype = device.is_cuda() ? at::kBFloat16 : at::kFloat;
  const auto leaf = [&](at::IntArrayRef sizes) { return at::randn(sizes, options).to(dtype).requires_grad_(true); };
  return {leaf({1, o.heads, T, o.width}), leaf({1, o.kv_heads, T, o.width}), leaf({1, o.kv_heads, T, o.width}),
          at::linspace(0.1, 0.9, o.heads, options).requires_grad_(true)};
}

struct Seconds {
  std::vector<double> forward, both;
};

Seconds time(const Form& form, const InfiniOperands& x, int64_t repeat, at::Device device) {
  const Tensor grad = at::randn_like(x.q);
  const auto now = [&] {
    wait(device);
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  Seconds out;
  for (int64_t n = 0; n < repeat + 3; ++n) {
    const double start = now();
    const Tensor y = form(x);
    const double middle = now();
    torch::autograd::grad({y}, {x.q, x.k, x.v}, {grad});
    const double end = now();
    if (n >= 3) out.forward.push_back(middle - start), out.both.push_back(end - start);
  }
  return out;
}

double median(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  return x[x.size() / 2];
}

/// The operator at a small size against its definition, by the rule of the tests.
void require_right(const Options& o, at::Device device) {
  Options small = o;
  small.segment = 64;
  InfiniOperands x = operands(small, 512, device);
  const InfiniRules rules{64, 0, {}, kernels::EmptyMemory::bypass};
  InfiniOperands exact = x;
  for (auto* tensor : {&exact.q, &exact.k, &exact.v, &exact.gate})
    *tensor = tensor->detach().to(at::kCPU, at::kDouble).requires_grad_(true);
  const auto all = [&](auto form, const InfiniOperands& of) {
    const Tensor y = form(of, rules).out, weights = at::sin(at::arange(y.numel(), at::kDouble)).view_as(y).to(y.options());
    auto out = torch::autograd::grad({(y * weights).sum()}, {of.q, of.k, of.v});
    out.push_back(y.detach());
    return out;
  };
  const auto ours = all(kernels::infini, x), plain = all(kernels::infini_ref, x), right = all(kernels::infini_ref, exact);
  for (size_t n = 0; n < ours.size(); ++n) {
    const auto verdict = testing::as_exact_as_plain(ours[n].cpu(), plain[n].cpu(), right[n], n < 3 ? 3 : 2);
    LV_CHECK(verdict, "[bench] result {} is wrong and is not timed: {}", n, verdict.message());
  }
}

void run(const Options& o) {
  const at::Device device = open_device(o.device);
  for (const char* order : {"default", "cudnn first"}) {
    if (std::string(order) == "cudnn first") {
      if (!device.is_cuda()) break;
      at::globalContext().setSDPPriorityOrder({3, 1, 2, 0});  // at::SDPBackend: cuDNN, flash, memory-efficient, math
    }
    require_right(o, device);
    for (std::stringstream list(o.lengths); list.good();) {
      std::string text;
      std::getline(list, text, ',');
      const int64_t T = std::stoll(text), N = o.segment;
      const InfiniRules rules{N, 0, {}, kernels::EmptyMemory::bypass},
          delta{N, 0, {kernels::WriteRule::delta}, kernels::EmptyMemory::bypass};
      std::vector<std::pair<std::string, Form>> forms{
          {"infini", [&](const InfiniOperands& x) { return kernels::infini(x, rules).out; }},
          {"segments alone", [&](const InfiniOperands& x) { return segments_alone(x, N); }}};
      if (o.has_slow) {
        forms.emplace_back("infini, parallel", [&](const InfiniOperands& x) { return kernels::infini_parallel(x, rules).out; });
        forms.emplace_back("infini delta", [&](const InfiniOperands& x) { return kernels::infini(x, delta).out; });
        forms.emplace_back("loop over segments", [&](const InfiniOperands& x) { return loop_over_segments(x, N); });
        if (T <= 131072) forms.emplace_back("full attention", [](const InfiniOperands& x) { return full(x); });
      }
      const InfiniOperands x = operands(o, T, device);
      for (const auto& [name, form] : forms) {
        const Seconds s = time(form, x, o.repeat, device);
        const Json line{{"name", name},
                        {"attention", order},
                        {"tokens", T},
                        {"segment", N},
                        {"heads", o.heads},
                        {"kv_heads", o.kv_heads},
                        {"width", o.width},
                        {"forward_ms", 1e3 * median(s.forward)},
                        {"both_ms", 1e3 * median(s.both)},
                        {"least_ms", 1e3 * *std::min_element(s.both.begin(), s.both.end())},
                        {"most_ms", 1e3 * *std::max_element(s.both.begin(), s.both.end())},
                        {"tokens_per_second", static_cast<double>(T) / median(s.both)}};
        std::puts(line.dump().c_str());
        std::fflush(stdout);
      }
    }
  }
}

}  // namespace
}  // namespace longview

int main(int count, char** words) {
  longview::Options o;
  CLI::App app("Infini-attention beside its measures, forward and backward; JSON lines");
  app.add_option("--device", o.device);
  app.add_option("--heads", o.heads);
  app.add_option("--kv-heads", o.kv_heads);
  app.add_option("--width", o.width);
  app.add_option("--segment", o.segment);
  app.add_option("--lengths", o.lengths);
  app.add_option("--repeat", o.repeat);
  app.add_flag("!--no-slow", o.has_slow, "only infini and segments alone");
  CLI11_PARSE(app, count, words);
  try {
    longview::run(o);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
