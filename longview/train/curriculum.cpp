// When to go on to the next stage.
#include "longview/train/curriculum.h"

namespace longview {
namespace {

constexpr size_t kSteps = 25;

}  // namespace

std::vector<double> shares_of(const StageConfig& stage) {
  std::vector<double> out;
  double sum = 0;
  for (size_t at = 0; at < stage.shares.size();) {
    const size_t end = std::min(stage.shares.find(',', at), stage.shares.size());
    sum += out.emplace_back(to_real("stage", "a share", std::string_view(stage.shares).substr(at, end - at)));
    LV_CHECK(out.back() >= 0, "[stage] shares must not be negative; got '{}'", stage.shares);
    at = end + 1;
  }
  LV_CHECK(out.empty() || sum > 0, "[stage] one of the shares must be above 0; got '{}'", stage.shares);
  return out;
}

void check(const StageConfig& stage) {
  (void)shares_of(stage);
  LV_CHECK(stage.length >= 2, "[stage] length must be at least 2; got {}", stage.length);
  LV_CHECK(stage.repeats >= 1, "[stage] repeats must be at least 1; got {}", stage.repeats);
  LV_CHECK(stage.segment >= 0 && stage.least >= 0, "[stage] segment and least must not be negative; got {} and {}", stage.segment,
           stage.least);
  LV_CHECK(stage.until >= 0 && stage.until <= 1, "[stage] until must be from 0 to 1; got {}", stage.until);
  LV_CHECK(stage.most > 0 && stage.most <= 1, "[stage] most must be above 0, at most 1; got {}", stage.most);
}

Curriculum::Curriculum(std::vector<StageConfig> stages) : stages_(std::move(stages)) {
  LV_CHECK(!stages_.empty(), "[stage] a training has at least one stage");
  for (const auto& stage : stages_) check(stage);
}

bool Curriculum::advance(double right, double scored, int64_t done, int64_t steps) {
  answers_.emplace_back(right, scored);
  if (answers_.size() > kSteps) answers_.erase(answers_.begin());
  if (stage_ + 1 == stages_.size()) return false;
  double all_right = 0, all_scored = 0;
  for (const auto& [r, s] : answers_) all_right += r, all_scored += s;
  const StageConfig& stage = now();
  const bool is_full = answers_.size() == kSteps && all_scored > 0;
  const bool is_learnt = stage.until > 0 && is_full && all_right >= stage.until * all_scored && done - began_ >= stage.least;
  const bool is_over = static_cast<double>(done) >= stage.most * static_cast<double>(steps);
  if (!is_learnt && !is_over) return false;
  ++stage_, began_ = done;
  answers_.clear();
  return true;
}

Json Curriculum::state() const {
  Json answers = Json::array();
  for (const auto& [right, scored] : answers_) answers.push_back({right, scored});
  return {{"stage", stage_}, {"began", began_}, {"answers", answers}};
}

void Curriculum::restore(const Json& state) {
  stage_ = std::min(state.at("stage").get<size_t>(), stages_.size() - 1), began_ = state.at("began").get<int64_t>();
  answers_.clear();
  for (const auto& pair : state.at("answers")) answers_.emplace_back(pair[0].get<double>(), pair[1].get<double>());
}

}  // namespace longview
