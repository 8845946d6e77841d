// The page of a training: what is in it at every moment, and what a resumption does to its curves.
#include "longview/report/training.h"

#include <gtest/gtest.h>

#include "tests/report/xml.h"

namespace longview {
namespace {

Json record(int64_t step, int64_t layers = 2) {
  Json out{{"step", step},
           {"stage", step / 40},
           {"length", step < 40 ? 256 : 512},
           {"tokens", 100 * step},
           {"seconds", step},
           {"loss", 5.0 - 0.01 * static_cast<double>(step)},
           {"gradient_norm", 1.5},
           {"rate", 1e-3},
           {"tokens_per_second", 100},
           {"memory_bytes", 1 << 30},
           {"seconds_left", 75},
           {"mfu", 0.25},
           {"gates", std::vector<double>(static_cast<size_t>(layers), 0.5)},
           {"accuracy", {{"copy", 0.5}}}};
  if (step % 20 == 0)
    out["validation"] = {{"loss", 4.5}, {"positions", {{{"from", 0}, {"to", 256}, {"targets", 9}, {"loss", 4.25}}}}};
  return out;
}

TrainingReport report(int64_t steps, TrainingReport::State state = TrainingReport::State::running) {
  TrainingReport out;
  out.name = "run", out.steps = 200, out.state = state;
  for (int64_t step = 2; step <= steps; step += 2) add_record(out.records, record(step));
  return out;
}

std::vector<std::string> titles(const Page& page) {
  std::vector<std::string> out;
  for (const auto& section : page.sections)
    if (!section.title.empty()) out.push_back(section.title);
  return out;
}

TEST(TrainingReport, ShowsEveryCurveAndRefreshesWhileItRuns) {
  const Page page = training_report(report(100));
  EXPECT_EQ(titles(page), (std::vector<std::string>{"Loss", "Validation by position", "Right answers by kind", "Gates by layer",
                                                    "Gradient and learning rate", "Speed and memory"}));
  EXPECT_EQ(page.lead.front(), "Running: step 100 of 200, loss 4.0000, 1:15 left.");
  const std::string text = html(page);
  xml::parse(text);
  EXPECT_NE(text.find("http-equiv=\"refresh\""), std::string::npos);
  for (const size_t section : {1, 3}) {  // loss, answers (the first section says how it stands)
    const auto& marks = std::get<Plot>(page.sections.at(section).blocks.at(0)).marks;
    ASSERT_EQ(marks.size(), 1U) << "where the texts become longer";
    EXPECT_EQ(marks[0].label, "512 tokens");
    EXPECT_EQ(marks[0].x, 40);
  }
}

TEST(TrainingReport, SaysHowItEnded) {
  using State = TrainingReport::State;
  EXPECT_EQ(training_report(report(200, State::finished)).lead.front(), "Finished: step 200 of 200, loss 3.0000.");
  EXPECT_EQ(training_report(report(10, State::stopped)).lead.front(), "Stopped at step 10 of 200: --resume goes on.");
  TrainingReport failed = report(10, State::failed);
  failed.words = "the loss <is> gone";
  EXPECT_EQ(training_report(failed).lead.front(), "Failed after step 10 of 200: the loss <is> gone");
  EXPECT_EQ(html(training_report(failed)).find("http-equiv"), std::string::npos);
  EXPECT_NE(html(training_report(report(0))).find("still to come"), std::string::npos);
}

TEST(TrainingReport, ALogThatWasTakenUpAgainIsOneCurve) {
  std::vector<Json> records;
  for (const int64_t step : {2, 4, 6, 8, 4, 6}) add_record(records, record(step));
  std::vector<int64_t> steps;
  for (const auto& one : records) steps.push_back(one["step"].get<int64_t>());
  EXPECT_EQ(steps, (std::vector<int64_t>{2, 4, 6}));
}

TEST(TrainingReport, ManyLayersAreAlongTheModel) {
  TrainingReport deep;
  for (int64_t step = 1; step < 8; ++step) add_record(deep.records, record(step, 30));
  const Page page = training_report(deep);
  const auto gates =
      std::find_if(page.sections.begin(), page.sections.end(), [](const Section& s) { return s.title == "Gates by layer"; });
  EXPECT_EQ(std::get<Plot>(gates->blocks.at(0)).x_label, "layer");
}

}  // namespace
}  // namespace longview
