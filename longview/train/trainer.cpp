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

ParameterOptions options_of(const TrainerConfig& c, at::Device device, const std::shared_ptr<Communicator>& ranks) {
  LV_CHECK(c.shard == "none" || c.shard == "optimizer", "[train] shard must be none or optimizer; got '{}'", c.shard);
  ParameterOptions out{.device = device,
                       .type = type_of(c.precision, device),
                       .decay = c.decay,
                       .gate_rate = c.gate_rate,
                       .frozen = parts_of(c.frozen),
                       .trained = parts_of(c.trained),
                       .ranks = ranks,
                       .is_shared = c.shard == "optimizer"};
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

/// Whether a row of document [B,T] holds more than one text, or padding.
bool has_several(const Tensor& document) {
  const Tensor ids = document.contiguous();
  const int64_t T = ids.size(1);
  const auto* id = ids.const_data_ptr<int64_t>();
  for (int64_t n = 0; n < ids.numel(); ++n)
    if (id[n] < 0 || id[n] != id[n / T * T]) return true;
  return false;
}

/// Where something is to be predicted, in rows one after the other: int64 [n]. By hand: waking threads for it costs more, while a GPU waits.
Tensor scored_places(const Tensor& targets) {
  const Tensor side_by_side = targets.contiguous();
  const auto* target = side_by_side.const_data_ptr<int64_t>();
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(targets.numel()));
  for (int64_t n = 0; n < targets.numel(); ++n)
    if (target[n] >= 0) out.push_back(n);
  return at::tensor(out, at::kLong);
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
};

Trainer::Trainer(const Checkpoint& checkpoint, const TrainerConfig& config, const ScheduleConfig& schedule, at::Device device,
                 const std::shared_ptr<Communicator>& ranks)
    : original_(with_methods(checkpoint, config.position, config.attention)),
      config_(config),
      schedule_(schedule),
      device_(device),
      split_(split_ranks(ranks, config.sequence_ranks)),
      parameters_(with_adapters(original_, config), options_of(config, device, ranks)),
      model_(original_.config, parameters_.tensors(), config.lora > 0 ? alpha_of(config) / static_cast<double>(config.lora) : 1),
      method_(model_.method("", "")),
      optimizer_(make_optimizer(config.optimizer)) {
  check(schedule);
  LV_CHECK(config.steps >= 1 && config.accumulate >= 1, "[train] steps and accumulate must be at least 1; got {} and {}",
           config.steps, config.accumulate);
  LV_CHECK(config.clip >= 0, "[train] clip must not be negative; got {}", config.clip);
  LV_CHECK(!parameters_.is_shared() || optimizer_->is_elementwise(),
           "[train] shard = optimizer cuts the parameters anywhere between the ranks; {} needs whole matrices: take adamw, or "
           "shard = none",
           parse_setting(config_.optimizer).name);
  check_spread(split_, method_.attention->setting);
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
  if (split_.token_parts() > 1) segment.spread = split_.text.get();
  return segment;
}

Trainer::Scored Trainer::forward(const Batch& batch) const {
  const auto there = [&](const Tensor& x) { return x.defined() ? x.to(device_, true) : x; };
  const Tensor rows = scored_places(batch.targets);                        // [n]
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
  Scored scored{{}, {}, rows};
  if (rows.numel() > 0) {
    scored.loss = kernels::cross_entropy(hidden, head, there(targets), there(share));
  } else {  // the targets are other ranks'; what this one's memory gives them has gradients
    const auto wide = head.options().dtype(head.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).requires_grad(false);
    scored.loss = {out.hidden.sum().to(wide.dtype()) * 0, at::empty({0}, wide), at::empty({0}, wide.dtype(at::kBool))};
  }
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
  std::vector<std::pair<Batch, ModelState>> read;  // this rank's parts of the batches, and the state before each
  for (int64_t n = 0; n < config_.accumulate; ++n) {
    parameters_.clear_gradients();
    const Batch whole = next();
    read.emplace_back(own_part(whole, split_, segment()), state_);
    const Scored scored = forward(read.back().first);
    torch::autograd::backward({scored.loss.loss}, {});
    if (config_.accumulate > 1) parameters_.accumulate(n == 0, 1.0 / static_cast<double>(config_.accumulate));
    result.tokens += whole.ids.numel();
    const Tensor loss = scored.loss.loss.detach() / static_cast<double>(config_.accumulate);
    result.loss = n == 0 ? loss : result.loss + loss;
    result.targets += scored_places(whole.targets).numel();
    if (!scored.kind.defined()) continue;
    const int64_t K = std::max<int64_t>(16, whole.kind.max().item<int64_t>() + 1);
    const Tensor scored_of = at::bincount(scored.kind, {}, K).to(at::kFloat);                               // [K]
    const Tensor right_of = at::bincount(scored.kind, scored.loss.right.to(at::kFloat), K).to(at::kFloat);  // [K]
    result.scored = result.scored.defined() ? result.scored + scored_of : scored_of;
    result.right = result.right.defined() ? result.right + right_of : right_of;
  }
  const c10::NoGradGuard no_gradients;
  sum_over_ranks(result);
  const auto gradients = parameters_.summed_gradients();
  result.gradient_norm = parameters_.norm(gradients);
  // One wait for the device a step: what is bad must not reach the weights, or nobody could tell where it began.
  if (!std::isfinite(result.gradient_norm.item<double>())) {
    for (auto& [part, before] : read)
      if (result.bad.empty()) result.bad = split_.all->first_text(bad_output(part, std::move(before)));
    if (result.bad.empty()) result.bad = split_.all->first_text(first_bad_gradient(parameters_));
    if (result.bad.empty()) result.bad = "the norm of the gradients (each of them is finite)";
    return result;
  }
  ++done_;
  for (size_t g = 0; g < parameters_.groups().size(); ++g) {
    Tensor gradient = gradients[g];
    if (config_.clip > 0) gradient = gradient * (config_.clip / (result.gradient_norm + 1e-6)).clamp_max(1);
    auto& group = parameters_.groups()[g];
    optimizer_->step(group, gradient, result.rate * group.rate, done_);
  }
  parameters_.publish();
  return result;
}

void Trainer::sum_over_ranks(StepResult& result) const {
  if (split_.is_whole()) return;
  std::vector<Tensor> parts{result.loss.view(1)};
  if (result.scored.defined()) parts.push_back(result.right.to(result.loss)), parts.push_back(result.scored.to(result.loss));
  const Tensor all = at::cat(parts);  // [1+2K]
  split_.all->all_reduce(all);
  result.loss = all[0];
  if (!result.scored.defined()) return;
  const int64_t K = result.scored.numel();
  result.right = all.narrow(0, 1, K).to(at::kFloat), result.scored = all.narrow(0, 1 + K, K).to(at::kFloat);  // [K]
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

TargetScores Trainer::score(const Batch& whole) const {
  const c10::NoGradGuard no_gradients;
  const ModelState kept = std::exchange(state_, {});
  const Scored scored = forward(own_part(whole, split_, segment()));
  state_ = kept;
  TargetScores out{scored.loss.loss, scored.loss.nll, scored.loss.right, scored.rows.remainder(whole.ids.size(1)), scored.kind};
  if (split_.is_whole()) return out;
  const int64_t B = whole.ids.size(0), T = whole.ids.size(1);
  const Tensor rows = scored_places(whole.targets);                           // [n] of all ranks
  const Tensor all = at::zeros({2 * B * T + 1}, out.nll.options());           // [2*B*T+1]
  const Tensor own = places_in_whole(scored.rows, B, T, split_).to(device_);  // [n] of this one
  all.narrow(0, 0, B * T).index_copy_(0, own, out.nll), all.narrow(0, B * T, B * T).index_copy_(0, own, out.right.to(all));
  all.narrow(0, 2 * B * T, 1).copy_(out.loss);
  split_.all->all_reduce(all);
  const Tensor there = rows.to(device_);  // [n]
  out.loss = all[2 * B * T];
  out.nll = all.narrow(0, 0, B * T).index_select(0, there), out.right = all.narrow(0, B * T, B * T).index_select(0, there) > 0;
  out.place = rows.remainder(T);
  if (whole.kind.defined()) out.kind = whole.kind.reshape(-1).index_select(0, rows).to(at::kLong).to(device_);
  return out;
}

std::optional<Adapter> Trainer::adapter() const {
  if (config_.lora == 0) return std::nullopt;
  const ModelConfig& c = original_.config;
  const std::string base = original_.path.empty() ? c.name : std::filesystem::absolute(original_.path).string();
  Adapter out{alpha_of(config_), base, c.position, c.attention, c.memory_gate, {}};
  for (const auto& [name, value] : parameters_.masters())
    out.tensors[name] = in_memory(value.to(at::kCPU, at::kFloat).contiguous().clone());
  return out;
}

Checkpoint Trainer::weights() const {
  const auto trained = adapter();
  return trained ? merged(original_, *trained) : parameters_.checkpoint(original_);
}

std::map<std::string, Tensor> Trainer::rest() const {
  std::map<std::string, Tensor> out;
  if (config_.lora > 0)  // the model in a checkpoint has them in its weights, and they cannot be had back from there
    for (const auto& [name, value] : parameters_.masters()) out["trained." + name] = value.to(at::kCPU).contiguous();
  for (const auto& [name, tensor] : optimizer_->state) {
    const Tensor whole = parameters_.is_shared() ? parameters_.whole(parameters_.group_of(name), tensor) : tensor;
    out["optimizer." + name] = whole.to(at::kCPU);
  }
  for (size_t layer = 0; layer < state_.layers.size(); ++layer)
    for (const auto& [name, tensor] : state_.layers[layer].tensors)
      out[fmt::format("state.{}.{}", layer, name)] = of_all_rows(tensor, split_).to(at::kCPU);
  if (!state_.layers.empty()) out["state.seen"] = at::full({1}, state_.seen(), at::kLong);
  return out;
}

void Trainer::restore(const std::map<std::string, Tensor>& rest, int64_t done) {
  done_ = done;
  state_ = {};
  const auto seen = rest.find("state.seen");
  if (seen != rest.end()) state_.layers.resize(static_cast<size_t>(model_.config().layers));
  for (auto& layer : state_.layers) layer.seen = seen->second.item<int64_t>();
  std::map<std::string, Tensor> trained;
  for (const auto& [name, tensor] : rest) {
    if (name.starts_with("trained.")) trained[name.substr(8)] = tensor;
    if (name.starts_with("optimizer.")) {
      const std::string own = name.substr(10);
      optimizer_->state[own] = (parameters_.is_shared() ? parameters_.part(parameters_.group_of(own), tensor) : tensor).to(device_);
    }
    if (!name.starts_with("state.") || name == "state.seen") continue;
    const size_t dot = name.find('.', 6);
    state_.layers.at(std::stoul(name.substr(6, dot - 6))).tensors[name.substr(dot + 1)] = of_own_rows(tensor, split_).to(device_);
  }
  parameters_.set_masters(trained);
}

}  // namespace longview
