// The report of `longview read`: loss by position for each method.
#include "longview/report/curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "longview/base/check.h"
#include "longview/base/text_format.h"
#include "longview/report/verdict.h"

namespace longview {
namespace {

constexpr size_t kMostSteps = 48;  // of a line in the plot; the table has every bucket
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

Cell number(double value, int decimals) {
  return {std::isfinite(value) ? with_commas(value, decimals) : "∞", std::isfinite(value) ? value : kMissing};
}

Cell number(const std::optional<double>& value, int decimals) { return value ? number(*value, decimals) : Cell("–"); }

Cell judged(const Verdict& verdict) {
  const bool good = verdict.fate == Fate::holds, bad = verdict.fate == Fate::collapses || verdict.fate == Fate::unfit;
  if (verdict.fate == Fate::unknown) return "–";
  return {verdict_words(verdict), good ? Cell::Tone::good : bad ? Cell::Tone::bad : Cell::Tone::plain};
}

// The best first, and last what was not read far enough.
std::vector<size_t> by_loss(const std::vector<Verdict>& verdicts, bool any_past) {
  std::vector<size_t> order(verdicts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto key = [&](size_t i) {
    return (any_past ? verdicts[i].past : verdicts[i].inside).value_or(std::numeric_limits<double>::infinity());
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
  return order;
}

Table verdict_table(const std::vector<ReadRun>& runs, const std::vector<Verdict>& verdicts) {
  const bool any_past = std::any_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.past.has_value(); });
  Table table;
  table.columns = {{"method", false, Best::none}};
  if (any_past) table.columns.push_back({"past the trained length", false, Best::none});
  if (any_past) table.columns.push_back({"loss past it", true, Best::lowest});
  table.columns.push_back({"behind the best", true, Best::none});
  table.columns.push_back({any_past ? "loss inside it" : "loss", true, Best::lowest});
  for (const size_t i : by_loss(verdicts, any_past)) {
    const Verdict& verdict = verdicts[i];
    std::vector<Cell> row = {runs[i].label};
    if (any_past) row.push_back(judged(verdict));
    if (any_past) row.push_back(number(verdict.past, 3));
    const bool compared = !any_past || verdict.past.has_value();
    row.push_back(verdict.best ? Cell("best") : compared ? number(verdict.behind, 3) : Cell("–"));
    row.push_back(number(verdict.inside, 3));
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Neighbouring buckets, `group` at a time, as one with their mean loss; none joins tokens before and after the trained length.
std::vector<LossBucket> merged(const std::vector<LossBucket>& buckets, size_t group, int64_t trained_length) {
  std::vector<LossBucket> out;
  size_t held = 0;
  for (const auto& bucket : buckets) {
    const bool begins =
        held == 0 || held == group || bucket.from != out.back().to || bucket.from == trained_length || bucket.tokens <= 0;
    if (begins) {
      out.push_back(bucket);
      held = bucket.tokens > 0 ? 1 : 0;
      continue;
    }
    LossBucket& whole = out.back();
    const auto before = static_cast<double>(whole.tokens), here = static_cast<double>(bucket.tokens);
    whole.nll = (whole.nll * before + bucket.nll * here) / (before + here);
    whole.tokens += bucket.tokens;
    whole.to = bucket.to;
    ++held;
  }
  return out;
}

size_t buckets_a_step(const std::vector<ReadRun>& runs) {
  size_t most = 1;
  for (const auto& run : runs) most = std::max(most, run.buckets.size());
  return (most + kMostSteps - 1) / kMostSteps;
}

Table bucket_table(const std::vector<ReadRun>& runs) {
  Table table;
  table.best_in_row = runs.size() > 1 ? Best::lowest : Best::none;
  table.columns = {{"position", false, Best::none}, {"tokens", true, Best::none}};
  std::map<std::pair<int64_t, int64_t>, std::vector<const LossBucket*>> places;
  for (size_t i = 0; i < runs.size(); ++i) {
    table.columns.push_back({runs[i].label, true, Best::none});
    for (const auto& bucket : runs[i].buckets) {
      auto& row = places[{bucket.from, bucket.to}];
      row.resize(runs.size());
      row[i] = &bucket;
    }
  }
  for (const auto& [place, row] : places) {
    int64_t tokens = 0;
    for (const auto* bucket : row) tokens = std::max(tokens, bucket != nullptr ? bucket->tokens : 0);
    std::vector<Cell> cells = {fmt::format("{}\u00a0–\u00a0{}", with_commas(place.first), with_commas(place.second)),
                               with_commas(tokens)};
    for (const auto* bucket : row) cells.push_back(bucket != nullptr && bucket->tokens > 0 ? number(bucket->nll, 3) : Cell("–"));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

Table cost_table(const std::vector<ReadRun>& runs) {
  Table table;
  table.columns = {{"method", false, Best::none},
                   {"tokens", true, Best::none},
                   {"seconds", true, Best::none},
                   {"tokens/s", true, Best::highest},
                   {"state at the end", true, Best::lowest},
                   {"peak memory", true, Best::lowest}};
  const auto bytes = [](int64_t count) { return count > 0 ? Cell(bytes_text(count), static_cast<double>(count)) : Cell("–"); };
  for (const auto& run : runs)
    table.rows.push_back({run.label, with_commas(run.tokens), with_commas(run.seconds, run.seconds < 10 ? 1 : 0),
                          Cell(with_commas(run.tokens_per_second, run.tokens_per_second < 10 ? 1 : 0), run.tokens_per_second),
                          bytes(run.state_bytes), bytes(run.rss_peak_bytes)});
  return table;
}

Section loss_section(const std::vector<ReadRun>& runs, int64_t trained_length) {
  Section section{"Loss by position", {loss_plot(runs, trained_length)}};
  const std::vector<Verdict> verdicts = judge(runs, trained_length);
  if (const size_t group = buckets_a_step(runs); group > 1)
    section.blocks.push_back(
        Paragraph(fmt::format("Each step is the mean of {} neighbouring buckets; the last table has every bucket.", group)));
  if (runs.size() > 1) section.blocks.push_back(verdict_table(runs, verdicts));
  return section;
}

}  // namespace

Plot loss_plot(const std::vector<ReadRun>& runs, int64_t trained_length) {
  Plot plot;
  plot.x_label = "position in the text (tokens)";
  plot.y_label = "loss: nats a token, lower is better";
  const std::vector<Verdict> verdicts = judge(runs, trained_length);
  const size_t group = buckets_a_step(runs);
  for (size_t i = 0; i < runs.size(); ++i) {
    Series series;
    series.name = runs[i].label;
    series.note = verdict_words(verdicts[i]);
    if (verdicts[i].fate == Fate::holds && runs.size() > 1) series.weight = Series::Weight::strong;
    for (const auto& bucket : merged(runs[i].buckets, group, trained_length)) {
      const double loss = bucket.tokens <= 0          ? kMissing
                          : std::isfinite(bucket.nll) ? bucket.nll
                                                      : std::numeric_limits<double>::infinity();
      series.points.push_back({static_cast<double>(bucket.from), loss, static_cast<double>(bucket.to)});
    }
    plot.series.push_back(std::move(series));
  }
  if (trained_length > 0)
    plot.marks.push_back({static_cast<double>(trained_length), "trained length " + with_commas(trained_length), true});
  return plot;
}

Page read_report(const std::vector<ReadRun>& runs, const ReadReport& report) {
  LV_CHECK(!runs.empty(), "[report] there is no run to report; give at least one");
  Page page;
  page.title = fmt::format("{} reads {}", report.model_name.empty() ? "The model" : report.model_name,
                           report.text_name.empty() ? "a text" : report.text_name);
  page.lead = read_lead(runs, report.trained_length);
  page.sections.push_back(loss_section(runs, report.trained_length));
  NamedList remembers;
  for (const auto& run : runs)
    if (!run.note.empty()) remembers.items.push_back({run.label, run.note});
  if (!remembers.items.empty())
    page.sections.push_back({runs.size() > 1 ? "What each method remembers" : "What it remembers", {remembers}});
  page.sections.push_back({"Speed and memory", {cost_table(runs)}});
  page.sections.push_back({"Loss in every bucket", {bucket_table(runs)}});
  if (!report.facts.empty()) page.sections.push_back({"How this was measured", {report.facts}});
  page.footer = "Made by longview read.";
  return page;
}

}  // namespace longview
