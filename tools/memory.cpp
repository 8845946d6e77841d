// Tables, JSON and report sections of a memory.
#include "tools/memory.h"

#include <array>

#include "longview/base/text_format.h"

namespace longview::tools {
namespace {

struct Gates {
  double least = 0, mean = 0, most = 0;
  std::array<int64_t, 5> heads{};  // with |g| up to each of kEdges, and beyond
};

constexpr std::array kEdges{0.1, 0.3, 0.7, 0.9};
constexpr std::array kBins{"< 0.1", "0.1-0.3", "0.3-0.7", "0.7-0.9", "> 0.9"};

Gates gates_of(const Tensor& g) {
  Gates out{g.min().item<double>(), g.mean().item<double>(), g.max().item<double>()};
  const Tensor size = g.abs().to(at::kCPU, at::kDouble);  // [H]
  for (int64_t h = 0; h < size.numel(); ++h)
    ++out.heads[static_cast<size_t>(std::upper_bound(kEdges.begin(), kEdges.end(), size[h].item<double>()) - kEdges.begin())];
  return out;
}

}  // namespace

void MemoryTrace::see(const Session& session) {
  const int64_t tokens = session.state.seen();
  if (tokens < next_) return;
  next_ = tokens + step_;
  const auto layers = memory_fill(session.state);
  if (layers.empty()) return;
  MemorySample sample{tokens, 0, 0};
  for (const auto& layer : layers) sample.z_mean += layer.z_mean, sample.norm += layer.norm;
  sample.z_mean /= static_cast<double>(layers.size()), sample.norm /= static_cast<double>(layers.size());
  samples_.push_back(sample);
}

bool has_memory(const Method& method, const ModelConfig& config) {
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const Attention& own = method.attention->at(layer);
    const bool is_infini = parse_setting(own.setting).name.starts_with("infini");  // whose memory can be turned off
    if (is_infini && own.memory_values(config.kv_heads, config.head_width) > 0) return true;
  }
  return false;
}

Method without_memory(const Method& method, const Transformer& model) {
  Setting setting = parse_setting(method.attention->setting);
  setting.values["memory"] = "off";
  std::vector<FieldText> fields;
  for (const auto& [name, value] : setting.values) fields.push_back({name, value, ""});
  return model.method(method.position->setting, setting_text(setting.name, fields));
}

std::string memory_text(const std::vector<MemoryFill>& layers, const Transformer* model) {
  TextTable table{{{"layer"}, {"mean z"}, {"spread"}, {"|M| / z"}}, {}};
  if (model != nullptr) table.columns.insert(table.columns.end(), {{"gates from"}, {"mean"}, {"to"}, {"heads"}});
  for (const auto& layer : layers) {
    std::vector<std::string> row{fmt::format("{}", layer.layer), with_commas(layer.z_mean, 1),
                                 fmt::format("{:.2f}", layer.z_spread), fmt::format("{:.2f}", layer.norm)};
    if (model != nullptr) {
      const Gates gates = gates_of(model->memory_gate(layer.layer));
      for (const double g : {gates.least, gates.mean, gates.most}) row.push_back(fmt::format("{:.3f}", g));
      std::string heads;
      for (const int64_t count : gates.heads) heads += fmt::format("{}{}", heads.empty() ? "" : " ", count);
      row.push_back(heads);
    }
    table.rows.push_back(std::move(row));
  }
  return table.text() + (model == nullptr ? "" : "  heads: how many have |g| < 0.1, to 0.3, to 0.7, to 0.9, above\n");
}

Json memory_json(const std::vector<MemoryFill>& layers, const Transformer* model) {
  Json out = Json::array();
  for (const auto& layer : layers) {
    Json row{{"layer", layer.layer}, {"z_mean", layer.z_mean}, {"z_spread", layer.z_spread}, {"norm", layer.norm}};
    if (model != nullptr) {
      const Tensor g = model->memory_gate(layer.layer).to(at::kCPU, at::kFloat).contiguous();  // [H]
      row["gates"] = std::vector<float>(g.data_ptr<float>(), g.data_ptr<float>() + g.numel());
    }
    out.push_back(std::move(row));
  }
  return out;
}

Json memory_json(const std::vector<MemorySample>& samples) {
  Json out = Json::array();
  for (const auto& sample : samples) out.push_back({{"tokens", sample.tokens}, {"z_mean", sample.z_mean}, {"norm", sample.norm}});
  return out;
}

std::vector<Section> memory_sections(const Transformer& model, const std::vector<MemorySample>& samples) {
  Table gates;
  gates.caption = "The memory's share g in the heads of each layer, and how many heads have |g| of that size";
  gates.columns = {{"layer", true}, {"least", true}, {"mean", true}, {"most", true}};
  for (const char* bin : kBins) gates.columns.push_back({bin, true});
  for (int64_t layer = 0; layer < model.config().layers; ++layer) {
    const Gates g = gates_of(model.memory_gate(layer));
    std::vector<Cell> row{fmt::format("{}", layer), fmt::format("{:.3f}", g.least), fmt::format("{:.3f}", g.mean),
                          fmt::format("{:.3f}", g.most)};
    for (const int64_t heads : g.heads) row.emplace_back(fmt::format("{}", heads));
    gates.rows.push_back(std::move(row));
  }
  Plot norm;
  norm.title = "What a query finds";
  norm.x_label = "tokens read", norm.y_label = "|M| / mean z, mean over the layers";
  Series series{"memory", {}, "", Series::Weight::strong};
  for (const auto& sample : samples) series.points.push_back({static_cast<double>(sample.tokens), sample.norm});
  norm.series = {series};
  std::vector<Section> out{{"The memory's gates", {gates}}};
  if (samples.size() > 1)
    out.push_back(
        {"The memory along the text",
         {Paragraph{"The memory is a sum over all that was written, z its normaliser: a falling curve means that what single "
                    "tokens wrote averages out. The first run has the memory; \"memory off\" is the same reading with every gate "
                    "shut, so the distance of the two losses is what the memory is worth."},
          norm}});
  return out;
}

}  // namespace longview::tools
