// One step after the other.
#include "longview/train/trainer.h"

#include <torch/csrc/autograd/autograd.h>

#include "longview/attention/texts.h"
#include "longview/kernels/cross_entropy.h"
#include "longview/train/fault.h"
#include "longview/train/own_method.h"

namespace longview {
namespace {

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

at::ScalarType type_of(const std::string& precision, at::Device device) {
  if (precision == "auto") return device.is_cpu() ? at::kFloat : at::kBFloat16;
  if (precision == "f32") return at::kFloat;
  if (precision == "f64") return at::kDouble;
  LV_CHECK(precision == "bf16", "[train] precision must be auto, f32, bf16 or f64; got '{}'", precision);
  return at::kBFloat16;
}

ParameterOptions options_of(const TrainerConfig& c, at::Device device) {
  ParameterOptions out{.device = device,
                       .type = type_of(c.precision, device),
                       .decay = c.decay,
                       .gate_rate = c.gate_rate,
                       .frozen = parts_of(c.frozen),
                       .trained = parts_of(c.trained)};
  if (c.lora > 0) out.frozen = {"*"}, out.trained.emplace_back(".lora_");
  return out;
}

double alpha_of(const TrainerConfig& c) { return c.lora_alpha > 0 ? c.lora_alpha : 2 * static_cast<double>(c.lora); }

/// The checkpoint with adapters that change nothing yet, where the configuration asks for them.
Checkpoint with_adapters(Checkpoint checkpoint, const TrainerConfig& c) {
  LV_CHECK(c.lora >= 0 && c.lora_alpha >= 0, "[train] lora and lora_alpha must not be negative; got {} and {}", c.lora,
           c.lora_alpha);
  if (c.lora == 0) return checkpoint;
  LV_CHECK(c.frozen.empty(), "[train] with lora all but the adapters is frozen; `trained` names exceptions; got frozen = '{}'",
           c.frozen);
  add_adapters(checkpoint, c.lora, parts_of(c.lora_targets));
  return checkpoint;
}

/// Whether a row holds more than one text, or padding.
bool has_several(const Tensor& document) {
  return document.lt(0).any().item<bool>() || document.ne(document.select(1, 0).unsqueeze(1)).any().item<bool>();
}

/// The same values without their history: gradients stop here.
ModelState cut_off(ModelState state) {
  for (auto& layer : state.layers)
    for (auto& [name, tensor] : layer.tensors) tensor = tensor.detach();
  return state;
}

}  // namespace

struct Trainer::Scored {
  kernels::CrossEntropy loss;
  Tensor kind;  // int64 [n] of the scored targets; undefined: none
  Tensor rows;  // int64 [n] where they are in the batch's rows, one after the other
  int64_t tokens = 0;
};

Trainer::Trainer(const Checkpoint& checkpoint, const TrainerConfig& config, const ScheduleConfig& schedule, at::Device device)
    : original_(with_methods(checkpoint, config.position, config.attention)),
      config_(config),
      schedule_(schedule),
      device_(device),
      parameters_(with_adapters(original_, config), options_of(config, device)),
      model_(original_.config, parameters_.tensors(), config.lora > 0 ? alpha_of(config) / static_cast<double>(config.lora) : 1),
      method_(model_.method("", "")),
      optimizer_(make_optimizer(config.optimizer)) {
  check(schedule);
  LV_CHECK(config.steps >= 1 && config.accumulate >= 1, "[train] steps and accumulate must be at least 1; got {} and {}",
           config.steps, config.accumulate);
  LV_CHECK(config.clip >= 0, "[train] clip must not be negative; got {}", config.clip);
}

Segment Trainer::segment_of(const Batch& batch, int64_t first) const {
  const auto there = [&](const Tensor& x) { return x.defined() ? x.to(device_, true) : x; };
  LV_CHECK(!batch.positions.defined() || method_.attention->setting == "full",
           "[train] positions of a longer text (pose, random) go with full attention; got {}", method_.attention->setting);
  Segment segment{there(batch.ids), first, there(batch.write)};
  segment.positions = batch.positions;
  // A method that knows no texts reads on from one to the next where rows go on, as Transformer-XL does in its training.
  if (batch.document.defined() && knows_documents()) segment.document = there(batch.document);
  else if (batch.document.defined() && !batch.carried && has_several(batch.document)) segment.texts = text_spans(batch.document);
  return segment;
}

Trainer::Scored Trainer::forward(const Batch& batch) const {
  const auto there = [&](const Tensor& x) { return x.defined() ? x.to(device_, true) : x; };
  const Tensor rows = (batch.targets >= 0).reshape(-1).nonzero().squeeze(-1);  // [n]
  LV_CHECK(rows.numel() > 0, "[train] a batch has nothing to predict");
  const Tensor targets = batch.targets.reshape(-1).index_select(0, rows);  // [n]
  const Tensor share = batch.share.defined() ? batch.share.reshape(-1).index_select(0, rows)
                                             : at::full({rows.numel()}, 1.0 / static_cast<double>(rows.numel()));  // [n]
  if (!batch.continues) state_ = {};
  const Segment segment = segment_of(batch, state_.seen());
  auto out = model_.forward(segment, method_, std::move(state_), config_.recompute);
  state_ = batch.carried ? cut_off(std::move(out.state)) : ModelState{};
  const int64_t E = out.hidden.size(-1);
  Tensor hidden = out.hidden.reshape({-1, E});  // [B*T,E]
  if (rows.numel() < hidden.size(0)) hidden = hidden.index_select(0, there(rows));
  const Tensor& head = parameters_.tensors().at(model_.config().tied_head ? "model.embed_tokens.weight" : "lm_head.weight");
  Scored scored{kernels::cross_entropy(hidden, head, there(targets), there(share)), {}, rows, batch.ids.numel()};
  if (batch.kind.defined()) scored.kind = there(batch.kind.reshape(-1).index_select(0, rows).to(at::kLong));
  return scored;
}

bool Trainer::knows_documents() const {
  for (int64_t layer = 0; layer < model_.config().layers; ++layer)
    if (!method_.attention->at(layer).knows_documents()) return false;
  return true;
}

StepResult Trainer::step(const std::function<Batch()>& next) {
  StepResult result;
  result.rate = learning_rate(schedule_, done_ + 1, config_.steps);
  std::vector<std::pair<Batch, ModelState>> read;  // batches, and the state before each
  for (int64_t n = 0; n < config_.accumulate; ++n) {
    parameters_.clear_gradients();
    read.emplace_back(next(), state_);
    const Scored scored = forward(read.back().first);
    torch::autograd::backward({scored.loss.loss}, {});
    if (config_.accumulate > 1) parameters_.accumulate(n == 0, 1.0 / static_cast<double>(config_.accumulate));
    const Tensor loss = scored.loss.loss.detach() / static_cast<double>(config_.accumulate);
    result.loss = n == 0 ? loss : result.loss + loss;
    result.tokens += scored.tokens, result.targets += scored.rows.numel();
    if (!scored.kind.defined()) continue;
    const Tensor scored_of = at::bincount(scored.kind, {}, 16).to(at::kFloat);                               // [K]
    const Tensor right_of = at::bincount(scored.kind, scored.loss.right.to(at::kFloat), 16).to(at::kFloat);  // [K]
    result.scored = result.scored.defined() ? result.scored + scored_of : scored_of;
    result.right = result.right.defined() ? result.right + right_of : right_of;
  }
  const c10::NoGradGuard no_gradients;
  result.gradient_norm = parameters_.gradient_norm();
  // One wait for the device a step: what is bad must not reach the weights, or nobody could tell where it began.
  if (!std::isfinite(result.gradient_norm.item<double>())) {
    for (auto& [batch, before] : read)
      if (result.bad.empty()) result.bad = bad_output(batch, std::move(before));
    if (result.bad.empty()) result.bad = first_bad_gradient(parameters_);
    if (result.bad.empty()) result.bad = "the norm of the gradients (each of them is finite)";
    return result;
  }
  ++done_;
  for (size_t g = 0; g < parameters_.groups().size(); ++g) {
    Tensor gradient = parameters_.gradient(g);
    if (config_.clip > 0) gradient = gradient * (config_.clip / (result.gradient_norm + 1e-6)).clamp_max(1);
    auto& group = parameters_.groups()[g];
    optimizer_->step(group, gradient, result.rate * group.rate, done_);
  }
  parameters_.publish();
  return result;
}

int64_t Trainer::segment() const {
  const Attention& attention = method_.attention->at(0);
  const Setting setting = parse_setting(attention.setting);
  const auto found = setting.values.find("segment");
  return found == setting.values.end() ? 0 : to_int("train", "segment", found->second);
}

void Trainer::set_segment(int64_t tokens) {
  Setting setting = parse_setting(method_.attention->setting);
  LV_CHECK(setting.values.contains("segment"), "[train] {} has no segments", setting.name);
  setting.values["segment"] = std::to_string(tokens);
  method_ = model_.method("", setting_text(setting));
  original_.config.attention = method_.attention->setting;
}

std::string Trainer::bad_output(const Batch& batch, ModelState before) const {
  if (!batch.continues) before = {};
  return first_bad_output(model_, parameters_, method_, segment_of(batch, before.seen()), before);
}

TargetScores Trainer::score(const Batch& batch) const {
  const c10::NoGradGuard no_gradients;
  const ModelState kept = std::exchange(state_, {});
  const Scored scored = forward(batch);
  state_ = kept;
  return {scored.loss.loss, scored.loss.nll, scored.loss.right, scored.rows.remainder(batch.ids.size(1)), scored.kind};
}

std::optional<Adapter> Trainer::adapter() const {
  if (config_.lora == 0) return std::nullopt;
  const ModelConfig& c = original_.config;
  Adapter out{alpha_of(config_), c.name, c.position, c.attention, c.memory_gate, {}};
  for (const auto& group : parameters_.groups())
    for (const auto& slice : group.slices)
      out.tensors[slice.name] = in_memory(parameters_.master(slice.name).to(at::kCPU, at::kFloat).contiguous().clone());
  return out;
}

Checkpoint Trainer::weights() const {
  const auto trained = adapter();
  return trained ? merged(original_, *trained) : parameters_.checkpoint(original_);
}

std::map<std::string, Tensor> Trainer::rest() const {
  std::map<std::string, Tensor> out;
  if (config_.lora > 0)  // the model in a checkpoint has them in its weights, and they cannot be had back from there
    for (const auto& group : parameters_.groups())
      for (const auto& slice : group.slices)
        out["trained." + slice.name] = parameters_.master(slice.name).to(at::kCPU).contiguous();
  for (const auto& [name, tensor] : optimizer_->state) out["optimizer." + name] = tensor.to(at::kCPU);
  for (size_t layer = 0; layer < state_.layers.size(); ++layer)
    for (const auto& [name, tensor] : state_.layers[layer].tensors)
      out[fmt::format("state.{}.{}", layer, name)] = tensor.to(at::kCPU);
  if (!state_.layers.empty()) out["state.seen"] = at::full({1}, state_.seen(), at::kLong);
  return out;
}

void Trainer::restore(const std::map<std::string, Tensor>& rest, int64_t done) {
  done_ = done;
  state_ = {};
  const auto seen = rest.find("state.seen");
  if (seen != rest.end()) state_.layers.resize(static_cast<size_t>(model_.config().layers));
  for (auto& layer : state_.layers) layer.seen = seen->second.item<int64_t>();
  for (const auto& [name, tensor] : rest) {
    if (name.starts_with("trained.")) parameters_.master(name.substr(8)).copy_(tensor);
    if (name.starts_with("optimizer.")) optimizer_->state[name.substr(10)] = tensor.to(device_);
    if (!name.starts_with("state.") || name == "state.seen") continue;
    const size_t dot = name.find('.', 6);
    state_.layers.at(std::stoul(name.substr(6, dot - 6))).tensors[name.substr(dot + 1)] = tensor.to(device_);
  }
  parameters_.publish();
}

}  // namespace longview
