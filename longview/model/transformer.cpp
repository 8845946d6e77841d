// Loading a checkpoint into packed weights, and the forward pass over its layers.
#include "longview/model/transformer.h"

#include "longview/base/file.h"
#include "longview/checkpoint/adapter.h"
#include "longview/checkpoint/tensor_names.h"
#include "longview/kernels/elementwise.h"
#include "longview/model/recompute.h"

namespace longview {
namespace {

/// Reads tensors of a checkpoint by name.
struct Loader {
  const Checkpoint& checkpoint;
  at::Device device;
  at::ScalarType type;  // of layers' matrices on a GPU

  const StoredTensor* stored(const std::string& name) const {
    const auto found = checkpoint.tensors.find(name);
    if (found == checkpoint.tensors.end()) return nullptr;
    check_finite(name, found->second);
    return &found->second;
  }

  const StoredTensor& needed(const std::string& name) const {
    const StoredTensor* tensor = stored(name);
    LV_CHECK(tensor != nullptr, "[model] {} has no tensor '{}'", checkpoint.path.string(), name);
    return *tensor;
  }

  /// Rows in the order the file has them, or, for `paired` heads of Q and K whose rotary pairs are neighbours, first all first
  /// halves of a head's pairs, then all second halves.
  kernels::Weight weight(const std::string& name, bool is_rotated = false) const {
    const StoredTensor& tensor = needed(name);
    const int64_t D = checkpoint.config.head_width;
    const bool is_paired = is_rotated && checkpoint.config.interleaved_rotary;
    const auto source = [=](int64_t row) { return is_paired ? row / D * D + row % D % (D / 2) * 2 + row % D / (D / 2) : row; };
    auto packed = kernels::pack(tensor.type, tensor.bytes.data(), tensor.shape[0], tensor.shape[1], source);
    if (tensor.owner) release_pages(tensor.bytes);  // the file's copy would count as ours
    return kernels::on_device(std::move(packed), device, name.starts_with("model.layers.") ? type : at::kFloat);
  }

  /// A vector as f32, or undefined when the checkpoint has none.
  Tensor vector(const std::string& name, bool is_rotated = false) const {
    const StoredTensor* tensor = stored(name);
    if (tensor == nullptr) return {};
    Tensor out = at::empty({tensor->shape[0]});  // [E]
    dequantize(tensor->type, tensor->bytes.data(), out.numel(), out.data_ptr<float>());
    if (!is_rotated || !checkpoint.config.interleaved_rotary) return out.to(device);
    const int64_t D = checkpoint.config.head_width;
    return out.view({-1, D / 2, 2}).transpose(1, 2).reshape({-1}).to(device);
  }

  /// Every tensor "model.position.NAME" or "model.attention.NAME" by its NAME, f32.
  std::map<std::string, Tensor> method_values() const {
    std::map<std::string, Tensor> out;
    for (const auto& [name, tensor] : checkpoint.tensors) {
      if (!is_method_value(name)) continue;
      check_finite(name, tensor);
      const Tensor value = at::empty(tensor.shape);
      dequantize(tensor.type, tensor.bytes.data(), value.numel(), value.data_ptr<float>());
      out[method_value_name(name)] = value.to(device);
    }
    return out;
  }
};

/// Takes tensors as they are.
struct Keeper {
  const std::map<std::string, Tensor>& tensors;
  double adapter_scale;

  kernels::Weight weight(const std::string& name, bool = false) const {
    const Tensor found = vector(name);
    LV_CHECK(found.defined(), "[model] there is no tensor '{}'", name);
    kernels::Weight out = kernels::unpacked(found);
    out.low_rank_in = vector(adapter_a(name)), out.low_rank_out = vector(adapter_b(name)), out.low_rank_scale = adapter_scale;
    return out;
  }
  Tensor vector(const std::string& name, bool = false) const {
    const auto found = tensors.find(name);
    return found == tensors.end() ? Tensor() : found->second;
  }
  std::map<std::string, Tensor> method_values() const {
    std::map<std::string, Tensor> out;
    for (const auto& [name, tensor] : tensors)
      if (is_method_value(name)) out[method_value_name(name)] = tensor;
    return out;
  }
};

BlockWeights load_block(const auto& load, const ModelConfig& config, int64_t layer) {
  const std::string at = fmt::format("model.layers.{}.", layer);
  BlockWeights w;
  w.attention_norm = load.vector(at + "input_layernorm.weight");
  w.feed_forward_norm = load.vector(at + "post_attention_layernorm.weight");
  w.q = load.weight(at + "self_attn.q_proj.weight", true);
  w.k = load.weight(at + "self_attn.k_proj.weight", true);
  w.v = load.weight(at + "self_attn.v_proj.weight");
  w.o = load.weight(at + "self_attn.o_proj.weight");
  w.q_bias = load.vector(at + "self_attn.q_proj.bias", true);
  w.k_bias = load.vector(at + "self_attn.k_proj.bias", true);
  w.v_bias = load.vector(at + "self_attn.v_proj.bias");
  w.q_norm = load.vector(at + "self_attn.q_norm.weight", true);
  w.k_norm = load.vector(at + "self_attn.k_norm.weight", true);
  const auto D = static_cast<double>(config.head_width);
  const auto constant = [&](double value) {
    return at::full({config.head_width}, value, w.attention_norm.options().requires_grad(false));
  };                                                         // [D]
  if (config.normalized == "query") w.q_norm = constant(1);  // q sqrt(D) / |q|: the scores' 1 / sqrt(D) takes the root away
  if (config.normalized == "cosine") w.q_norm = constant(config.score_scale / std::sqrt(D));
  if (config.normalized == "key" || config.normalized == "cosine") w.k_norm = constant(1);
  if (!config.memory_gate.empty()) w.memory_beta = load.vector(at + "self_attn.memory_gate");
  w.is_tanh_gate = config.memory_gate == "tanh";
  w.gate = load.weight(at + "mlp.gate_proj.weight");
  w.up = load.weight(at + "mlp.up_proj.weight");
  w.down = load.weight(at + "mlp.down_proj.weight");
  return w;
}

/// Of a segment's T tokens those at its end whose hidden states are given. Not one: with matrix tiles few rows are computed in another way,
/// and would differ in the last bits.
int64_t wanted(const Segment& segment, int64_t T) {
  constexpr int64_t kFew = 32;
  return segment.only_last ? std::min(T, kFew) : T;
}

}  // namespace

Transformer::Transformer(const Checkpoint& checkpoint, at::Device device, at::ScalarType type)
    : config_(checkpoint.config), device_(device) {
  load(Loader{checkpoint, device, type});
}

Transformer::Transformer(ModelConfig config, const std::map<std::string, Tensor>& tensors, double adapter_scale)
    : config_(std::move(config)), device_(tensors.at("model.embed_tokens.weight").device()) {
  config_.interleaved_rotary = false;
  load(Keeper{tensors, adapter_scale});
}

void Transformer::load(const auto& source) {
  embedding_ = source.weight("model.embed_tokens.weight");
  norm_ = source.vector("model.norm.weight");
  if (!config_.tied_head) head_ = source.weight("lm_head.weight");
  for (int64_t layer = 0; layer < config_.layers; ++layer) blocks_.push_back(load_block(source, config_, layer));
  values_ = source.method_values();
}

int64_t Transformer::weight_bytes() const {
  int64_t sum = embedding_.bytes() + norm_.nbytes() + (config_.tied_head ? 0 : head_.bytes());
  for (const auto& w : blocks_) {
    for (const auto* weight : {&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down}) sum += weight->bytes();
    for (const auto* vector :
         {&w.attention_norm, &w.feed_forward_norm, &w.q_bias, &w.k_bias, &w.v_bias, &w.q_norm, &w.k_norm, &w.memory_beta})
      if (vector->defined()) sum += vector->nbytes();
  }
  return sum;
}

std::string Transformer::default_attention() const {
  if (!config_.attention.empty()) return config_.attention;
  return config_.sliding_window > 0 ? fmt::format("window:window={}", config_.sliding_window) : "full";
}

Method Transformer::method(std::string_view position, std::string_view attention) const {
  const Rotary rotary{config_.head_width,
                      config_.rope_base,
                      config_.trained_length,
                      position == "none" ? "" : config_.own_position(),
                      config_.heads,
                      config_.layers,
                      values_,
                      config_.width};
  const std::string wanted = position.empty() ? default_position() : position == "none" ? "rope" : std::string(position);
  Method out{make_attention(attention.empty() ? default_attention() : std::string(attention), rotary),
             make_position(wanted, rotary)};
  // Of a hybrid one may be asked for, and the other follows.
  if (const std::string hybrid = out.position->hybrid(); attention.empty() && !hybrid.empty() && out.attention->hybrid() != hybrid)
    out.attention = make_attention(hybrid, rotary);
  if (const std::string hybrid = out.attention->hybrid(); position.empty() && !hybrid.empty() && out.position->hybrid() != hybrid)
    out.position = make_position(hybrid, rotary);
  const auto check_learned = [&](const auto& own, std::string_view prefix, const char* what) {
    for (const auto& [name, initial] : own.learned())
      LV_CHECK(values_.contains(name), "[model] {} has no '{}{}', which its {} {} learned", config_.name, prefix, name, what,
               parse_setting(own.setting).name);
  };
  if (position.empty()) check_learned(*out.position, kPositionValues, "position");
  if (attention.empty()) check_learned(*out.attention, kAttentionValues, "attention");
  const std::string apart = refusal(*out.attention, *out.position);
  LV_CHECK(apart.empty(), "[method] {}", apart);
  for (int64_t layer = 0; layer < config_.layers; ++layer) {
    const Attention& own = out.attention->at(layer);
    const std::string why = refusal(own, out.position->at(layer));
    LV_CHECK(why.empty(), "[method] {}", why);
    LV_CHECK(!own.has_gates() || !config_.memory_gate.empty(),
             "[{}] {} has no gates for a memory: give it some with longview convert --add-infini, or do without (memory=off)",
             parse_setting(own.setting).name, config_.name);
  }
  return out;
}

void Transformer::prepare(const Segment& segment, ModelState& state) const {
  Shapes("forward")("ids", segment.ids, "B T");
  LV_CHECK(state.layers.empty() || static_cast<int64_t>(state.layers.size()) == config_.layers,
           "[forward] the state has {} layers; the model has {}", state.layers.size(), config_.layers);
  LV_CHECK(state.seen() == segment.first, "[forward] the state has seen {} tokens; the segment begins at {}", state.seen(),
           segment.first);
  state.layers.resize(config_.layers);
}

Tensor Transformer::embedded(const Tensor& ids) const {
  const Tensor x = kernels::rows(embedding_, ids.reshape(-1)).view({ids.size(0), ids.size(1), config_.width});  // [B,T,E]
  const bool is_short = x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
  return is_short ? x.to(at::kFloat) : x;  // sums of many layers
}

Tensor Transformer::normed(const Tensor& x) const {
  return kernels::rms_norm(x, norm_, config_.norm_epsilon, kernels::type_of(head()));
}

Tensor Transformer::through_layers(Tensor x, const Segment& segment, const Method& method, ModelState& state,
                                   bool recompute) const {
  for (int64_t layer = 0; layer < config_.layers; ++layer) {
    const int64_t most = layer + 1 == config_.layers ? wanted(segment, x.size(1)) : x.size(1);
    const auto run = [this, layer, method, segment, most](const Tensor& in, State old) {
      return block(config_, blocks_[layer], method.attention->at(layer), method.position->at(layer), in, segment, std::move(old),
                   most);
    };
    auto out = recompute ? recomputed(run, x, std::move(state.layers[layer])) : run(x, std::move(state.layers[layer]));
    x = out.x;
    state.layers[layer] = std::move(out.state);
  }
  return x;
}

Forward Transformer::forward(const Segment& segment, const Method& method, ModelState state, bool recompute) const {
  prepare(segment, state);
  if (method.attention->recurrence() != nullptr) return recurrent(segment, method, std::move(state), recompute);
  const Tensor x = through_layers(embedded(segment.ids), segment, method, state, recompute);  // [B,T,E]
  return {normed(x), std::move(state)};
}

std::vector<Forward> Transformer::forward(std::span<const Segment> segments, const Method& method,
                                          std::vector<ModelState> states) const {
  LV_CHECK(segments.size() == states.size(), "[forward] {} segments and {} states", segments.size(), states.size());
  if (segments.empty()) return {};
  if (method.attention->recurrence() != nullptr) {  // whose segments begin and end at different times
    std::vector<Forward> out;
    for (size_t n = 0; n < segments.size(); ++n) out.push_back(forward(segments[n], method, std::move(states[n])));
    return out;
  }
  std::vector<Tensor> ids;
  std::vector<int64_t> lengths, given;
  for (size_t n = 0; n < segments.size(); ++n) {
    prepare(segments[n], states[n]);
    Shapes("forward")("ids", segments[n].ids, "1 T");
    ids.push_back(segments[n].ids[0]);
    lengths.push_back(segments[n].ids.size(1)), given.push_back(wanted(segments[n], lengths.back()));
  }
  Tensor x = embedded(at::cat(ids).unsqueeze(0));  // [1,N,E]
  for (int64_t layer = 0; layer < config_.layers; ++layer) {
    std::vector<State*> own;
    for (auto& state : states) own.push_back(&state.layers[layer]);
    x = block(config_, blocks_[layer], method.attention->at(layer), method.position->at(layer), x, segments, own,
              layer + 1 == config_.layers ? given : lengths);
  }
  const Tensor hidden = normed(x);  // [1,N,E]
  std::vector<Forward> out;
  for (size_t n = 0, at = 0; n < segments.size(); at += given[n++])
    out.push_back({hidden.narrow(1, at, given[n]), std::move(states[n])});
  return out;
}

Tensor Transformer::logits(const Tensor& hidden, Tensor& memory) const { return kernels::linear(hidden, head(), memory); }

Tensor Transformer::logits(const Tensor& hidden) const { return kernels::linear(hidden, head()); }

}  // namespace longview
