// Counts of found keys as table, JSON and page.
#include "tools/passkey_table.h"

#include <map>

namespace longview::tools {
namespace {

double share(int64_t part, int64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0; }

std::string percents(const KeyScore& score) {
  const Interval interval = wilson(score.found, score.tried);
  return fmt::format("{:.0f}-{:.0f}%", 100 * interval.low, 100 * interval.high);
}

HeatMap::Cell heat(const KeyScore& score) {
  return {share(score.found, score.tried), fmt::format("{}/{}", score.found, score.tried),
          fmt::format(", 95 % interval {}, {} exact, {:.0f} % of tokens", percents(score), score.exact,
                      100 * share(score.right, score.tokens))};
}

std::string offset_text(int64_t offset) { return offset < 0 ? "as it falls" : fmt::format("{}", offset); }

/// Found by the needle's offset (down) and the question's (across), over all lengths and depths.
std::optional<HeatMap> offset_map(const std::vector<const KeyRow*>& rows) {
  std::map<int64_t, std::map<int64_t, KeyScore>> scores;
  std::map<int64_t, bool> questions;
  for (const auto* row : rows)
    for (const auto& cell : row->cells)
      scores[cell.needle_offset][cell.question_offset].add(cell.score), questions[cell.question_offset] = true;
  if (scores.size() < 2 && questions.size() < 2) return std::nullopt;
  HeatMap out{"Found by offset in the segment", "question's offset", "needle's offset", {}, {}, {}};
  for (const auto& [question, unused] : questions) out.columns.push_back(offset_text(question));
  for (auto& [needle, by_question] : scores) {
    out.rows.push_back(offset_text(needle));
    out.cells.emplace_back();
    for (const auto& [question, unused] : questions) out.cells.back().push_back(heat(by_question[question]));
  }
  return out;
}

}  // namespace

void KeyScore::add(const KeyScore& other) {
  found += other.found, exact += other.exact, tried += other.tried, right += other.right, tokens += other.tokens;
  nll += other.nll;
}

Json KeyScore::json() const {
  const Interval interval = wilson(found, tried);
  return {{"found", found},
          {"tried", tried},
          {"low", interval.low},
          {"high", interval.high},
          {"exact", exact},
          {"token_accuracy", share(right, tokens)},
          {"answer_nll", tried > 0 ? nll / static_cast<double>(tried) : 0}};
}

void KeyCell::add(const KeyAnswer& answer, const PasskeyPrompt& prompt) {
  score.add({answer.is_found, answer.is_exact, 1, answer.right, answer.tokens, answer.nll});
  answers.push_back({{"key", prompt.key},
                     {"said", answer.said},
                     {"found", answer.is_found},
                     {"needle_at", prompt.needle_begin},
                     {"answer_at", prompt.answer_begin}});
}

KeyScore KeyRow::all() const {
  KeyScore out;
  for (const auto& cell : cells) out.add(cell.score);
  return out;
}

std::vector<std::pair<double, KeyScore>> KeyRow::depths() const {
  std::vector<std::pair<double, KeyScore>> out;
  for (const auto& cell : cells) {
    if (out.empty() || out.back().first != cell.depth) out.emplace_back(cell.depth, KeyScore{});
    out.back().second.add(cell.score);
  }
  return out;
}

Json KeyRow::json() const {
  Json out = all().json();
  out.update({{"label", label},
              {"position", position},
              {"attention", attention},
              {"length", length},
              {"seconds", seconds},
              {"state_bytes", state_bytes},
              {"memory_bytes", memory_bytes}});
  out["depths"] = Json::array(), out["places"] = Json::array();
  for (const auto& [depth, score] : depths()) {
    out["depths"].push_back(score.json());
    out["depths"].back()["depth"] = depth;
  }
  for (const auto& cell : cells) {
    Json one = cell.score.json();
    one.update({{"depth", cell.depth}, {"answers", cell.answers}});
    one["needle_offset"] = cell.needle_offset < 0 ? Json() : Json(cell.needle_offset);
    one["question_offset"] = cell.question_offset < 0 ? Json() : Json(cell.question_offset);
    out["places"].push_back(one);
  }
  return out;
}

TextTable key_table(const std::vector<KeyRow>& rows) {
  TextTable out{{{"method", TextTable::Align::left}, {"tokens"}}, {}};
  if (rows.empty()) return out;
  for (const auto& [depth, score] : rows.front().depths()) out.columns.push_back({fmt::format("{:g} %", 100 * depth)});
  for (const char* name : {"found", "95 %", "exact", "tokens right", "nats", "memory", "state"}) out.columns.push_back({name});
  for (const auto& row : rows) {
    std::vector<std::string> cells{row.label, with_commas(row.length)};
    for (const auto& [depth, score] : row.depths()) cells.push_back(fmt::format("{}/{}", score.found, score.tried));
    const KeyScore all = row.all();
    cells.insert(cells.end(), {fmt::format("{}/{}", all.found, all.tried), percents(all), fmt::format("{}", all.exact),
                               fmt::format("{:.1f}%", 100 * share(all.right, all.tokens)),
                               fmt::format("{:.2f}", all.nll / static_cast<double>(std::max<int64_t>(all.tried, 1))),
                               row.memory_bytes > 0 ? bytes_text(row.memory_bytes) : "-", bytes_text(row.state_bytes)});
    out.rows.push_back(std::move(cells));
  }
  return out;
}

std::string answers_text(const KeyRow& row) {
  std::string out;
  for (const auto& cell : row.cells)
    for (const auto& answer : cell.answers)
      out += fmt::format("  {}: {} was hidden {} tokens before the question; it says {}\n", row.label,
                         answer.at("key").get<std::string>(),
                         with_commas(answer.at("answer_at").get<int64_t>() - answer.at("needle_at").get<int64_t>()),
                         answer.at("said").dump(-1, ' ', false, Json::error_handler_t::replace));
  return out;
}

Page key_report(const std::vector<KeyRow>& rows, const std::string& task, const std::string& model) {
  Page page;
  page.title = fmt::format("{} looks for a {}", model, task);
  page.footer = "Made by longview eval.";
  std::vector<std::string> labels;
  for (const auto& row : rows)
    if (std::find(labels.begin(), labels.end(), row.label) == labels.end()) labels.push_back(row.label);
  for (const auto& label : labels) {
    std::vector<const KeyRow*> own;
    KeyScore all;
    HeatMap map{"Found of asked", "depth in the text", "tokens", {}, {}, {}};
    for (const auto& row : rows) {
      if (row.label != label) continue;
      own.push_back(&row);
      all.add(row.all());
      map.rows.push_back(with_commas(row.length));
      map.cells.emplace_back();
      map.columns.clear();
      for (const auto& [depth, score] : row.depths()) {
        map.columns.push_back(fmt::format("{:g} %", 100 * depth));
        map.cells.back().push_back(heat(score));
      }
    }
    page.lead.push_back(fmt::format("{}: found {} of {}, {} exactly; {:.1f} % of the keys' tokens right.", label, all.found,
                                    all.tried, all.exact, 100 * share(all.right, all.tokens)));
    page.sections.push_back({label, {map}});
    if (const auto offsets = offset_map(own)) page.sections.back().blocks.emplace_back(*offsets);
  }
  Table table{"", {}, {}};
  const TextTable text = key_table(rows);
  for (const auto& column : text.columns) table.columns.push_back({column.name, column.align == TextTable::Align::right});
  for (const auto& row : text.rows) table.rows.emplace_back(row.begin(), row.end());
  page.sections.push_back({"In numbers", {table}});
  return page;
}

}  // namespace longview::tools
