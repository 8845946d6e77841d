// Gradients of every attention method with every position method, learned values included, against finite differences in float64.
#include "tests/laws/cases.h"

namespace longview {
namespace {

using namespace testing;  // NOLINT: the cases

constexpr Shape kSmall{1, 4, 2, 20, 8};
const Rotary kRotary{kSmall.D, 10000, 14, "", kSmall.H};  // windows of the trained length are shorter than the text

class GradientLaw : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

/// The methods' inputs in float64: q, k, v, and what the position learned, by name.
using Inputs = std::map<std::string, Tensor>;

double loss_of(const std::string& name, const std::string& position, const Inputs& inputs, Tensor* graph) {
  Rotary rotary = kRotary;
  for (const auto& value : make_position(position, rotary)->learned()) rotary.values[value.name] = inputs.at(value.name);
  for (const auto& value : make_attention(name, rotary)->learned())
    if (inputs.contains(value.name)) rotary.values[value.name] = inputs.at(value.name);
  const auto method = make_position(position, rotary);
  const auto attention = make_attention(name, rotary);
  const Qkv x{inputs.at("q"), inputs.at("k"), inputs.at("v"), at::linspace(0.2, 0.8, kSmall.H, at::kDouble)};
  const Outcome out = run(*attention, method, x, {13, 7});                   // the second segment attends to the state of the first
  const Tensor weights = random_normal(out.out.sizes(), 5).to(at::kDouble);  // [B,H,T,D]
  const Tensor loss = (out.out * weights).sum();                             // []
  if (graph != nullptr) *graph = loss;
  return loss.item<double>();
}

/// The setting with gradients through the memory, where by itself it stops them.
std::string differentiable(const std::string& name) {
  Setting setting = parse_setting(make_attention(name, kRotary)->setting);
  const auto gradient = setting.values.find("gradient");
  if (gradient == setting.values.end()) return name;
  gradient->second = "through";
  return setting_text(setting);
}

TEST_P(GradientLaw, GradientsAgreeWithFiniteDifferences) {
  const auto& [name, position] = GetParam();
  const std::string attention = differentiable(name);
  const Qkv x = in_double(random_qkv(kSmall, 3));
  Inputs inputs{{"q", x.q}, {"k", x.k}, {"v", x.v}};
  const auto with_values = position_of(position, kRotary);
  for (const auto& value : with_values->learned()) inputs[value.name] = with_values->rotary().values.at(value.name).to(at::kDouble);
  if (make_attention(name, kRotary)->recurrence() == nullptr)  // whose vectors are of the model's stream, not of a layer
    for (const auto& value : make_attention(name, kRotary)->learned()) {
      const Tensor change = random_normal(value.initial.sizes(), 21);
      inputs[value.name] = (value.initial + 0.1 * change).to(at::kDouble);
    }
  Inputs leaves;
  for (const auto& [key, tensor] : inputs) leaves[key] = tensor.clone().requires_grad_();
  Tensor graph;
  loss_of(attention, position, leaves, &graph);
  graph.backward();
  const double step = 1e-5;
  for (const auto& [key, tensor] : inputs) {
    const Tensor slope = leaves[key].grad();
    ASSERT_TRUE(slope.defined()) << key << " has no gradient";
    ASSERT_TRUE(slope.isfinite().all().item<bool>()) << key;
    const Tensor along = random_normal(tensor.sizes(), 17).to(at::kDouble);
    const auto at = [&](double distance) {
      Inputs moved = inputs;
      moved[key] = tensor + distance * along;
      return loss_of(attention, position, moved, nullptr);
    };
    const double wanted = (at(step) - at(-step)) / (2 * step), ours = (slope * along).sum().item<double>();
    EXPECT_NEAR(ours, wanted, 1e-6 * (1 + std::abs(wanted))) << key;
  }
}

/// Where gradients stop at the segment, they are those of a text whose segments were each fed with the state of the ones before as it is.
TEST(StoppedGradient, IsThatOfSegmentsWhoseMemoryIsConstant) {
  const auto rope = make_position("rope", kRotary);
  for (const char* name : {"transformer_xl:segment=4", "compressive:segment=2,memory=2,compressed=3,rate=2",
                           "memorizing:segment=4,cache=2,memory=9,top=2"}) {
    const Shape shape{2, 4, 2, 20, 8};
    const Qkv x = in_double(random_qkv(shape, 3));
    const Tensor weights = random_normal(x.q.sizes(), 5).to(at::kDouble);  // [B,H,T,D]
    const auto gradients = [&](bool is_cut) {
      Qkv leaves = x;
      for (auto member : {&Qkv::q, &Qkv::k, &Qkv::v}) leaves.*member = (x.*member).clone().requires_grad_();
      const auto attention = make_attention(name, kRotary);
      const int64_t N = is_cut ? period_of(*attention) : shape.T;
      State state;
      for (int64_t first = 0; first < shape.T; first += N) {
        Outcome out = run(*attention, rope, tokens(leaves, first, N), {N}, std::move(state));
        (out.out * weights.narrow(2, first, N)).sum().backward({}, /*keep_graph=*/true);
        state = std::move(out.state);
        for (auto& [key, tensor] : state.tensors) tensor = tensor.detach();
      }
      return std::vector{leaves.q.grad(), leaves.k.grad(), leaves.v.grad()};
    };
    const auto whole = gradients(false), cut = gradients(true);
    for (size_t n = 0; n < whole.size(); ++n)
      EXPECT_LT((whole[n] - cut[n]).abs().max().item<double>(), 1e-12) << name << " of operand " << n;
  }
}

std::vector<GradientLaw::ParamType> every_pair() {
  auto methods = position_settings();
  std::vector<std::string> lookers;
  for (const auto& entry : attentions()) lookers.emplace_back(entry.name);
  for (const char* more : {"streaming:window=8,sinks=2", "infini:segment=4", "infini:segment=4,rule=delta,read=centred",
                           "infini_overlap:segment=4,overlap=3", "lm_infinite:window=6,globals=2,cap=9", "hwfa2:full=1",
                           "transformer_xl:segment=4,memory=6", "compressive:segment=2,memory=4,compressed=3,rate=2",
                           "compressive:segment=2,memory=2,compressed=4,rate=2,function=conv",
                           "memorizing:segment=4,cache=2,memory=9,top=2", "recurrent_memory:segment=3,tokens=1"})
    lookers.emplace_back(more);
  std::vector<GradientLaw::ParamType> out;
  for (const auto& attention : lookers)
    for (const auto& position : methods)
      if (refusal(*make_attention(attention, kRotary), *make_position(position, kRotary)).empty())
        out.emplace_back(attention, position);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Every, GradientLaw, ::testing::ValuesIn(every_pair()), [](const auto& info) {
  return name_of(std::get<0>(info.param)) + "__" + name_of(std::get<1>(info.param));
});

}  // namespace
}  // namespace longview
