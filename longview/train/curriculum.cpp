// When to go on to the next stage.
#include "longview/train/curriculum.h"

#include <algorithm>

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

bool Curriculum::is_learnt() const {
  if (now().until == 0 || answers_.size() < kSteps) return false;
  std::vector<AnswerCount> sums(answers_.back().size());
  for (const auto& kinds : answers_)
    for (size_t k = 0; k < sums.size() && k < kinds.size(); ++k) sums[k].right += kinds[k].right, sums[k].scored += kinds[k].scored;
  const auto scored = [](const AnswerCount& kind) { return kind.scored > 0; };
  return std::any_of(sums.begin(), sums.end(), scored) && std::all_of(sums.begin(), sums.end(), [&](const AnswerCount& kind) {
           return !scored(kind) || kind.right >= now().until * kind.scored;
         });
}

bool Curriculum::advance(std::vector<AnswerCount> kinds, int64_t done, int64_t steps) {
  answers_.push_back(std::move(kinds));
  if (answers_.size() > kSteps) answers_.erase(answers_.begin());
  if (stage_ + 1 == stages_.size()) return false;
  const bool is_over = static_cast<double>(done) >= now().most * static_cast<double>(steps);
  if (!is_over && (done - began_ < now().least || !is_learnt())) return false;
  ++stage_, began_ = done;
  answers_.clear();
  return true;
}

Json Curriculum::state() const {
  Json answers = Json::array();
  for (const auto& kinds : answers_) {
    Json step = Json::array();
    for (const auto& kind : kinds) step.push_back({kind.right, kind.scored});
    answers.push_back(step);
  }
  return {{"stage", stage_}, {"began", began_}, {"kinds", answers}};
}

void Curriculum::restore(const Json& state) {
  stage_ = std::min(state.at("stage").get<size_t>(), stages_.size() - 1), began_ = state.at("began").get<int64_t>();
  answers_.clear();
  if (!state.contains("kinds")) return;  // written when all kinds were counted together
  for (const auto& step : state.at("kinds")) {
    answers_.emplace_back();
    for (const auto& kind : step) answers_.back().push_back({kind[0].get<double>(), kind[1].get<double>()});
  }
}

}  // namespace longview
