// Short rows that stand where the tokens of a long text would, so that a RoPE model meets all its rotations.
//   pose    PoSE (arXiv:2309.10400): the row is cut into parts, part i moved on by u_i; u_0 = 0, u_i uniform in [u_{i-1}, target - T]
//   random  randomized positional encodings (arXiv:2305.16843): T of the target's places, sorted, every choice equally often
#include <algorithm>
#include <set>

#include "longview/segment/rows.h"

namespace longview {
namespace {

struct PoseConfig {
  int64_t target = 0, parts = 2;
  void fields(auto&& visit) {
    visit("target", target, "length whose positions are met");
    visit("parts", parts, "pieces of a row, each at its own place");
  }
};

struct RandomConfig {
  int64_t target = 0;
  void fields(auto&& visit) { visit("target", target, "length whose positions are met"); }
};

std::vector<int64_t> pose(int64_t length, const PoseConfig& config, Random& random) {
  std::set<int64_t> cuts;
  while (static_cast<int64_t>(cuts.size()) < std::min(config.parts, length) - 1) cuts.insert(random.between(1, length - 1));
  std::vector<int64_t> out(static_cast<size_t>(length));
  int64_t moved = 0;
  for (int64_t t = 0; t < length; ++t) {
    if (cuts.contains(t)) moved = random.between(moved, config.target - length);
    out[static_cast<size_t>(t)] = t + moved;
  }
  return out;
}

// Knuth's algorithm S: each place is taken with the share of those that are still wanted among those that are left.
std::vector<int64_t> sorted_sample(int64_t length, int64_t target, Random& random) {
  std::vector<int64_t> out;
  for (int64_t place = 0; place < target; ++place)
    if (random.below(target - place) < length - static_cast<int64_t>(out.size())) out.push_back(place);
  return out;
}

class Positions final : public Source {
 public:
  Positions(std::unique_ptr<Source> source, PoseConfig config, bool is_random, uint64_t seed)
      : source_(std::move(source)), config_(config), is_random_(is_random), random_(seed) {}

  Batch next(const BatchShape& shape) override {
    LV_CHECK(shape.length <= config_.target, "[{}] rows have {} tokens, more than target={}", name(), shape.length, config_.target);
    Batch out = source_->next(shape);
    LV_CHECK(!out.continues, "[{}] positions cannot be drawn for rows that go on from batch to batch (carry=1)", name());
    Random own = random_.fork(static_cast<uint64_t>(made_++));
    const auto places = is_random_ ? sorted_sample(shape.length, config_.target, own) : pose(shape.length, config_, own);
    out.positions = at::tensor(places, at::kLong);  // [T]
    return out;
  }
  Json state() const override { return {{"source", name()}, {"batches", made_}, {"inner", source_->state()}}; }
  void restore(const Json& state) override {
    LV_CHECK(state.is_object() && state.value("source", Json()) == name() && state.contains("inner"),
             "[{}] the saved state is of another source: {}", name(), state.dump().substr(0, 80));
    source_->restore(state["inner"]);
    made_ = state_value(state, "batches", name());
  }
  int64_t parts() const override { return source_->parts(); }
  std::vector<std::string> kinds() const override { return source_->kinds(); }
  std::string loss(size_t kind) const override { return source_->loss(kind); }

 private:
  const char* name() const { return is_random_ ? "random" : "pose"; }

  std::unique_ptr<Source> source_;
  PoseConfig config_;
  bool is_random_;
  Random random_;
  int64_t made_ = 0;
};

}  // namespace

std::unique_ptr<Source> make_positions(const Setting& setting, std::unique_ptr<Source> source, uint64_t seed) {
  const std::vector<std::string> known = {"pose", "random"};
  const bool is_random = setting.name == "random";
  LV_CHECK(is_random || setting.name == "pose", "[source] {}", unknown_name("positions", setting.name, known));
  PoseConfig config;
  if (is_random) config.target = with_values(RandomConfig{}, setting).target;
  else config = with_values(config, setting);
  LV_CHECK(config.target >= 2 && config.parts >= 1, "[{}] target must be the length to be met, parts at least 1; got {} and {}",
           setting.name, config.target, config.parts);
  return std::make_unique<Positions>(std::move(source), config, is_random, seed);
}

}  // namespace longview
