// Linear layer on the CPU: work items are panels of 64 outputs (half a panel for few rows) times blocks of rows.
#include "longview/kernels/linear.h"
#include "longview/kernels/loops.h"

namespace longview::kernels {
namespace {

constexpr int64_t kFewRows = 4;          // up to here the weights are read once and never stored as f32
constexpr int64_t kLeastWork = 1 << 16;  // multiplications worth a thread of their own
constexpr int64_t kRowBlock = 96;        // rows a work item covers: keeps the threads level when there are few panels

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

}  // namespace

std::vector<Tensor> linear(const Tensor& x, std::span<const Weight* const> weights, std::span<const Tensor> biases) {
  LV_CHECK(x.dim() >= 1 && x.scalar_type() == at::kFloat && x.device().is_cpu(), "[linear] x must be f32 on the CPU; got {}",
           shape_text(x));
  const int64_t inputs = x.size(-1), total = inputs > 0 ? x.numel() / inputs : 0;
  const Tensor flat = x.reshape({total, inputs}).contiguous();  // [T,I]
  const bool is_few = total <= kFewRows;
  const int64_t blocks = is_few ? 2 : (total + kRowBlock - 1) / kRowBlock;  // few rows: an item is half a panel
  std::vector<Product> products;
  int64_t items = 0, work = 0;
  for (size_t w = 0; w < weights.size(); ++w) {
    LV_CHECK(weights[w]->inputs == inputs, "[linear] the weight takes {} inputs; x is {}", weights[w]->inputs, shape_text(x));
    products.push_back({weights[w], at::empty({total, weights[w]->outputs}), w < biases.size() ? biases[w] : Tensor(), items});
    items += weights[w]->panels() * blocks;
    work += total * inputs * weights[w]->outputs;
  }
  const int64_t grain = items * kLeastWork / std::max<int64_t>(work, 1) + 1;
  at::parallel_for(0, items, grain, [&](int64_t begin, int64_t end) {
    thread_local std::vector<float> scratch;
    if (!is_few && static_cast<int64_t>(scratch.size()) < inputs * kPanel) scratch.resize(inputs * kPanel);
    size_t w = 0;
    for (int64_t item = begin; item < end; ++item) {
      while (w + 1 < products.size() && item >= products[w + 1].first_item) ++w;
      const int64_t local = item - products[w].first_item, panel = local / blocks, block = local % blocks;
      const int64_t first = is_few ? 0 : block * kRowBlock;
      PanelProduct product = panel_of(products[w], flat, panel, first, std::min(total - first, is_few ? total : kRowBlock));
      product.expanded = scratch.data(), product.is_expanded = block > 0 && item > begin;
      product.half = is_few ? static_cast<int>(block) : -1;
      loops().multiply(product);
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

}  // namespace longview::kernels
