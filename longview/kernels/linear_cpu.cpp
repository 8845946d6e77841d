// Linear layer on the CPU: work items are panels of 64 outputs (some of them for tiles, half a one for few rows) times blocks of
// rows, which keep the threads level; a thread takes its items of the same panels at once.
#include <array>

#include "longview/kernels/gradients.h"
#include "longview/kernels/linear.h"
#include "longview/kernels/loops.h"

namespace longview::kernels {
namespace {

constexpr int64_t kFewRows = 4;     // up to here the weights are read once and never stored as f32
constexpr int64_t kMostPanels = 3;  // panels whose tiles stay in the second cache while all rows pass

struct Product {  // one weight of the call
  const Weight* weight;
  Tensor y, bias;
  int64_t first_item;  // work items are counted over all weights
};

/// Panel `panel` of a product for the rows [first, first + count).
PanelProduct panel_of(const Product& product, const Tensor& x, int64_t panel, int64_t first, int64_t count) {
  const Weight& weight = *product.weight;
  PanelProduct out{};
  out.form = weight.form, out.inputs = weight.inputs, out.group = weight.group;
  out.data = weight.data.data_ptr<uint8_t>() + panel * (weight.data.numel() / weight.panels());
  if (weight.group > 0) {
    const int64_t size = weight.inputs / weight.group * kPanel;
    out.scales = weight.scales.data_ptr<float>() + panel * size;
    out.minimums = weight.minimums.data_ptr<float>() + panel * size;
  }
  out.x = x.data_ptr<float>() + first * x.size(1), out.ldx = x.size(1), out.rows = count;
  if (product.bias.defined()) out.bias = product.bias.data_ptr<float>() + panel * kPanel;
  out.y = product.y.data_ptr<float>() + first * weight.outputs + panel * kPanel;
  out.ldy = weight.outputs, out.outputs = weight.outputs - panel * kPanel;
  return out;
}

std::vector<Tensor> linear_dense(const Tensor& x, std::span<const Weight* const> weights, std::span<const Tensor> biases) {
  const auto type = weights[0]->dense.scalar_type();
  const Tensor in = x.to(type);  // [...,I]
  std::vector<Tensor> out, plain;
  for (const Weight* weight : weights)
    if (!weight->low_rank_in.defined()) plain.push_back(weight->dense);
  const bool has_bias = std::any_of(biases.begin(), biases.end(), [](const Tensor& bias) { return bias.defined(); });
  const bool is_training = c10::GradMode::is_enabled() && in.requires_grad();
  if (is_training && !has_bias && plain.size() == weights.size() && (plain.size() == 2 || plain.size() == 3))
    return products_with_gradient(in, plain);
  for (size_t w = 0; w < weights.size(); ++w) {
    const bool has_own = w < biases.size() && biases[w].defined();
    Tensor y = at::linear(in, weights[w]->dense, has_own ? std::optional(biases[w].to(type)) : std::nullopt);  // [...,O]
    if (const Weight& own = *weights[w]; own.low_rank_in.defined())
      y = y + at::linear(at::linear(in, own.low_rank_in), own.low_rank_out) * own.low_rank_scale;
    out.push_back(y);
  }
  return out;
}

Tensor pack_rows(const Packing& packing, const Tensor& x) {
  constexpr int64_t kBlock = 16;  // rows of a tile
  const int64_t rows = x.size(0), inputs = x.size(1);
  const Tensor tiles = at::empty({packed_bytes(rows, inputs)}, at::kByte);
  at::parallel_for(0, (rows + kBlock - 1) / kBlock, 4, [&](int64_t begin, int64_t end) {
    packing.rows(x.data_ptr<float>() + begin * kBlock * inputs, std::min(end * kBlock, rows) - begin * kBlock, inputs, inputs,
                 tiles.data_ptr<uint8_t>() + packed_bytes(begin * kBlock, inputs));
  });
  return tiles;
}

/// `memory`, where it is given, holds the result of the one weight.
std::vector<Tensor> multiply(const Tensor& x, std::span<const Weight* const> weights, std::span<const Tensor> biases,
                             const Tensor& memory) {
  if (!weights.empty() && weights[0]->dense.defined()) return linear_dense(x, weights, biases);
  LV_CHECK(x.dim() >= 1 && x.scalar_type() == at::kFloat && x.device().is_cpu(), "[linear] x must be f32 on the CPU; got {}",
           shape_text(x));
  const int64_t inputs = x.size(-1), total = inputs > 0 ? x.numel() / inputs : 0;
  const Tensor flat = x.reshape({total, inputs}).contiguous();  // [T,I]
  constexpr int64_t kLeastInputs = 32;                          // fewer would be mostly padding
  const bool is_few = total <= kFewRows;
  const Packing* packing = is_few || inputs < kLeastInputs ? nullptr : loops().packing;
  const int64_t row_block = packing != nullptr ? 32 : 96, width = packing != nullptr ? kMostPanels : 1;
  const int64_t blocks = is_few ? 2 : (total + row_block - 1) / row_block;
  std::vector<Product> products;
  int64_t items = 0, work = 0;
  for (size_t w = 0; w < weights.size(); ++w) {
    LV_CHECK(weights[w]->inputs == inputs, "[linear] the weight takes {} inputs; x is {}", weights[w]->inputs, shape_text(x));
    const Tensor y = memory.defined() ? memory.narrow(0, 0, total) : at::empty({total, weights[w]->outputs});  // [T,O]
    products.push_back({weights[w], y, w < biases.size() ? biases[w] : Tensor(), items});
    items += (weights[w]->panels() + width - 1) / width * blocks;
    work += total * inputs * weights[w]->outputs;
  }
  const Tensor tiles = packing != nullptr ? pack_rows(*packing, flat) : Tensor();
  const int64_t expanded_bytes =
      packing != nullptr ? kMostPanels * packed_bytes(kPanel, std::min(inputs, kPieceInputs)) : inputs * kPanel * 4;
  const int64_t grain = items * kLeastWork / std::max<int64_t>(work, 1) + 1;
  at::parallel_for(0, items, grain, [&](int64_t begin, int64_t end) {
    thread_local std::vector<CacheLine> scratch;
    if (!is_few) scratch.resize(std::max<size_t>(scratch.size(), (expanded_bytes + sizeof(CacheLine) - 1) / sizeof(CacheLine)));
    size_t w = 0;
    for (int64_t item = begin, taken = 1; item < end; item += taken) {
      while (w + 1 < products.size() && item >= products[w + 1].first_item) ++w;
      const int64_t local = item - products[w].first_item, panel = local / blocks * width, block = local % blocks;
      taken = is_few ? 1 : std::min(blocks - block, end - item);
      const int64_t first = is_few ? 0 : block * row_block, count = is_few ? total : std::min(total - first, taken * row_block);
      std::array<PanelProduct, kMostPanels> panels;
      const int64_t together = std::min(width, products[w].weight->panels() - panel);
      for (int64_t n = 0; n < together; ++n) {
        panels[n] = panel_of(products[w], flat, panel + n, first, count);
        if (packing != nullptr) panels[n].x_tiles = tiles.data_ptr<uint8_t>() + packed_bytes(first, inputs);
        panels[n].expanded = reinterpret_cast<float*>(scratch.data()), panels[n].half = is_few ? static_cast<int>(block) : -1;
      }
      loops().multiply(panels.data(), together);
    }
  });
  std::vector<Tensor> out;
  auto shape = x.sizes().vec();
  for (auto& product : products) {
    shape.back() = product.weight->outputs;
    out.push_back(product.y.view(shape));  // [...,O]
  }
  return out;
}

}  // namespace

std::vector<Tensor> linear(const Tensor& x, std::span<const Weight* const> weights, std::span<const Tensor> biases) {
  return multiply(x, weights, biases, {});
}

Tensor linear(const Tensor& x, const Weight& weight, Tensor& memory) {
  const Weight* one = &weight;
  if (weight.dense.defined()) return multiply(x, std::span(&one, 1), {}, {})[0];
  Shapes("linear")("x", x, "T I");
  if (!memory.defined() || memory.size(0) < x.size(0) || memory.size(1) != weight.outputs)
    memory = at::empty({x.size(0), weight.outputs});  // [T,O]
  return multiply(x, std::span(&one, 1), {}, memory)[0];
}

}  // namespace longview::kernels
