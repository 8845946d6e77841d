// Curves of a training.
#include "longview/report/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "longview/base/text_format.h"

namespace longview {
namespace {

constexpr int kRefreshSeconds = 10;

double number(const Json& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_number() ? found->get<double>() : std::numeric_limits<double>::quiet_NaN();
}

Series series_of(const std::vector<Json>& records, std::string name, const char* key, double times = 1) {
  Series out{std::move(name), {}, "", Series::Weight::normal};
  for (const auto& record : records)
    if (const double y = number(record, key); !std::isnan(y)) out.points.push_back({number(record, "step"), times * y});
  return out;
}

/// A running mean over a fiftieth of the records.
Series smoothed(const Series& series, std::string name) {
  Series out{std::move(name), {}, "", Series::Weight::normal};
  const auto count = std::max<size_t>(series.points.size() / 50, 1);
  double sum = 0;
  for (size_t n = 0; n < series.points.size(); ++n) {
    sum += series.points[n].y - (n >= count ? series.points[n - count].y : 0);
    out.points.push_back({series.points[n].x, sum / static_cast<double>(std::min(n + 1, count))});
  }
  return out;
}

std::vector<Json> validations(const std::vector<Json>& records) {
  std::vector<Json> out;
  for (const auto& record : records)
    if (record.contains("validation")) out.push_back(record), out.back().update(record["validation"]);
  return out;
}

/// Where the texts become longer.
std::vector<Mark> stage_marks(const std::vector<Json>& records) {
  std::vector<Mark> out;
  int64_t before = 0;
  for (const auto& record : records) {
    const int64_t length = record.value("length", int64_t{0});
    if (before > 0 && length != before && out.size() < 8)
      out.push_back({number(record, "step"), fmt::format("{} tokens", with_commas(length)), false});
    before = length;
  }
  return out;
}

Plot plot_of(std::string title, std::string y, std::vector<Series> series, int decimals) {
  return {std::move(title), "step", std::move(y), std::move(series), {}, false, decimals};
}

Section loss_section(const std::vector<Json>& records) {
  Series raw = series_of(records, "training", "loss");
  std::vector<Series> all{raw};
  if (raw.points.size() >= 100) all[0].weight = Series::Weight::faint, all.push_back(smoothed(raw, "its running mean"));
  if (const auto held_out = validations(records); !held_out.empty()) {
    all.push_back(series_of(held_out, "validation", "loss"));
    all.back().weight = Series::Weight::strong;
  }
  Plot plot = plot_of("", "nats a token", all, 3);
  plot.marks = stage_marks(records);
  Section out{"Loss", {plot}};
  if (records.size() < 20) return out;
  plot.title = "Steps on a logarithmic scale", plot.log_x = true, plot.marks.clear();
  out.blocks.push_back(plot);
  return out;
}

/// Loss by position now, and when half, a quarter, an eighth of the steps were done.
Section position_section(const std::vector<Json>& held_out) {
  std::vector<size_t> shown;
  for (size_t n = held_out.size(); n > 0 && shown.size() < 4; n /= 2) shown.push_back(n - 1);
  Plot plot{"", "position, tokens", "nats a token", {}, {}, false, 3};
  for (const size_t n : shown) {
    Series series{fmt::format("step {}", with_commas(held_out[n].value("step", int64_t{0}))),
                  {},
                  "",
                  n + 1 == held_out.size() ? Series::Weight::strong : Series::Weight::normal};
    for (const auto& bucket : held_out[n].value("positions", Json::array()))
      series.points.push_back({number(bucket, "from"), number(bucket, "loss"), number(bucket, "to")});
    plot.series.push_back(std::move(series));
  }
  return {"Validation by position", {plot}};
}

std::vector<Series> accuracies(const std::vector<Json>& records) {
  std::map<std::string, Series> by_kind;
  for (const auto& record : records) {
    const auto shares = record.value("accuracy", Json::object());
    for (const auto& [kind, share] : shares.items()) {
      by_kind[kind].name = kind;
      by_kind[kind].points.push_back({number(record, "step"), 100 * share.get<double>()});
    }
  }
  std::vector<Series> out;
  for (auto& [kind, series] : by_kind) out.push_back(smoothed(series, kind));
  return out;
}

Plot accuracy_plot(std::string title, std::vector<Series> series) {
  Plot out = plot_of(std::move(title), "% right", std::move(series), 1);
  out.y_low = 0, out.y_high = 100;
  return out;
}

Section accuracy_section(const std::vector<Json>& records) {
  Section out{"Right answers by kind", {}};
  if (auto all = accuracies(records); !all.empty()) {
    Plot plot = accuracy_plot("In training", std::move(all));
    plot.marks = stage_marks(records);
    out.blocks.emplace_back(std::move(plot));
  }
  if (auto all = accuracies(validations(records)); !all.empty())
    out.blocks.emplace_back(accuracy_plot("In validation", std::move(all)));
  return out;
}

/// Few layers by step; of many layers along the model, now and earlier.
Section gate_section(const std::vector<Json>& records) {
  constexpr size_t kLines = 8;
  std::vector<Json> with;
  for (const auto& record : records)
    if (record.contains("gates")) with.push_back(record);
  if (with.empty()) return {};
  const size_t layers = with.back()["gates"].size();
  Plot plot = plot_of("The memory's share, mean of a layer's heads", "share", {}, 3);
  if (layers <= kLines) {
    for (size_t layer = 0; layer < layers; ++layer) {
      plot.series.push_back({fmt::format("layer {}", layer), {}, "", Series::Weight::normal});
      for (const auto& record : with)
        if (record["gates"].size() > layer)
          plot.series.back().points.push_back({number(record, "step"), record["gates"][layer].get<double>()});
    }
    return {"Gates by layer", {plot}};
  }
  plot.x_label = "layer";
  for (size_t n = with.size(); n > 0 && plot.series.size() < 4; n /= 2) {
    const auto& record = with[n - 1];
    plot.series.push_back({fmt::format("step {}", with_commas(record.value("step", int64_t{0}))), {}, "", Series::Weight::normal});
    for (size_t layer = 0; layer < record["gates"].size(); ++layer)
      plot.series.back().points.push_back({static_cast<double>(layer), record["gates"][layer].get<double>()});
  }
  return {"Gates by layer", {plot}};
}

Section optimiser_section(const std::vector<Json>& records) {
  return {"Gradient and learning rate",
          {plot_of("Norm of the gradient, before clipping", "l2 norm", {series_of(records, "norm", "gradient_norm")}, 3),
           plot_of("Learning rate, in thousandths", "rate x 1,000", {series_of(records, "rate", "rate", 1e3)}, 3)}};
}

Section speed_section(const std::vector<Json>& records) {
  Section out{"Speed and memory", {plot_of("Speed", "tokens/s", {series_of(records, "tokens/s", "tokens_per_second")}, 0)}};
  if (Series mfu = series_of(records, "MFU", "mfu", 100); !mfu.points.empty())
    out.blocks.emplace_back(plot_of("Model FLOPs utilisation: of what the device can do", "%", {mfu}, 1));
  out.blocks.emplace_back(
      plot_of("Peak memory of the device", "MiB", {series_of(records, "memory", "memory_bytes", 1.0 / (1 << 20))}, 0));
  return out;
}

Facts facts_now(const Json& last) {
  Facts out{{"loss", fmt::format("{:.4f}", number(last, "loss"))},
            {"tokens", with_commas(last.value("tokens", int64_t{0}))},
            {"texts of this stage",
             fmt::format("{} tokens, stage {}", with_commas(last.value("length", int64_t{0})), last.value("stage", int64_t{0}))},
            {"speed", with_commas(number(last, "tokens_per_second"), 0) + " tokens/s"}};
  if (last.contains("mfu")) out.push_back({"MFU", fmt::format("{:.1f} %", 100 * number(last, "mfu"))});
  out.push_back({"memory", bytes_text(last.value("memory_bytes", int64_t{0}))});
  out.push_back({"time so far", duration_text(number(last, "seconds"))});
  return out;
}

std::string headline(const TrainingReport& report, const Json& last) {
  const std::string step = fmt::format("step {} of {}", with_commas(last.value("step", int64_t{0})), with_commas(report.steps));
  using State = TrainingReport::State;
  if (report.state == State::finished) return fmt::format("Finished: {}, loss {:.4f}.", step, number(last, "loss"));
  if (report.state == State::stopped) return fmt::format("Stopped at {}: --resume goes on.", step);
  if (report.state == State::failed) return fmt::format("Failed after {}: {}", step, report.words);
  return fmt::format("Running: {}, loss {:.4f}, {} left.", step, number(last, "loss"), duration_text(number(last, "seconds_left")));
}

}  // namespace

void add_record(std::vector<Json>& records, Json record) {
  const auto step = number(record, "step");
  while (!records.empty() && number(records.back(), "step") >= step) records.pop_back();
  records.push_back(std::move(record));
}

Page training_report(const TrainingReport& report) {
  Page page;
  page.title = "Training " + report.name;
  const bool is_running = report.state == TrainingReport::State::running;
  page.refresh_seconds = is_running ? kRefreshSeconds : 0;
  page.footer = is_running ? fmt::format("Made by longview train; this page loads itself anew every {} seconds.", kRefreshSeconds)
                           : "Made by longview train.";
  if (report.records.empty()) {
    page.lead = {report.state == TrainingReport::State::failed ? "Failed: " + report.words : "The first record is still to come."};
    return page;
  }
  const Json& last = report.records.back();
  page.lead = {headline(report, last)};
  page.sections.push_back({"", {facts_now(last)}});
  page.sections.push_back(loss_section(report.records));
  if (const auto held_out = validations(report.records); !held_out.empty()) page.sections.push_back(position_section(held_out));
  for (Section section : {accuracy_section(report.records), gate_section(report.records)})
    if (!section.blocks.empty()) page.sections.push_back(std::move(section));
  page.sections.push_back(optimiser_section(report.records));
  page.sections.push_back(speed_section(report.records));
  if (!report.facts.empty()) page.sections.push_back({"What is trained", {report.facts}});
  return page;
}

}  // namespace longview
