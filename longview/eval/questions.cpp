// Question sets, and prompts that share their beginning.
#include "longview/eval/questions.h"

#include <algorithm>

#include "longview/base/json.h"

namespace longview {
namespace {

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

size_t common_beginning(const std::vector<std::vector<Id>>& prompts) {
  size_t out = prompts.front().size();
  for (const auto& prompt : prompts) {
    const auto differs = std::mismatch(prompt.begin(), prompt.end(), prompts.front().begin(), prompts.front().end());
    out = std::min({out, static_cast<size_t>(differs.first - prompt.begin()), prompt.size() - 1});
  }
  return out;
}

}  // namespace

QuestionSet parse_questions(std::string_view text, std::string_view where) {
  const Json json = parse_json(text, where);
  QuestionSet out;
  try {
    for (const auto& one : json.at("documents"))
      out.documents.push_back({one.at("name").get<std::string>(), one.at("text").get<std::string>()});
    for (const auto& one : json.at("questions"))
      out.questions.push_back({one.at("question").get<std::string>(), one.at("answers").get<std::vector<std::string>>(),
                               one.at("document").get<int64_t>()});
  } catch (const nlohmann::json::exception& error) {
    fail("[questions] {} is no set of questions: {}", where, error.what());
  }
  LV_CHECK(!out.documents.empty() && !out.questions.empty(), "[questions] {} needs at least one document and one question", where);
  for (const auto& one : out.questions) {
    LV_CHECK(one.document >= 0 && one.document < static_cast<int64_t>(out.documents.size()),
             "[questions] {}: '{}' names document {}; there are {}, counted from 0", where, one.text, one.document,
             out.documents.size());
    const bool is_blank = std::any_of(one.answers.begin(), one.answers.end(), [](const auto& answer) { return answer.empty(); });
    LV_CHECK(!one.answers.empty() && !is_blank, "[questions] {}: '{}' needs answers that are not empty", where, one.text);
  }
  return out;
}

bool is_right(std::string_view answer, const Question& question) {
  const std::string said = in_lower_case(answer);
  return std::any_of(question.answers.begin(), question.answers.end(),
                     [&](const auto& right) { return said.find(in_lower_case(right)) != std::string::npos; });
}

SharedPrompts read_shared(const Transformer& model, const Method& method, std::vector<std::vector<Id>> prompts, int64_t chunk,
                          const std::function<bool(int64_t)>& step) {
  for (const auto& prompt : prompts) LV_CHECK(!prompt.empty(), "[questions] a prompt has no tokens");
  LV_CHECK(!prompts.empty() && chunk >= 1, "[questions] needs prompts, and chunks of at least 1 token; got {}", chunk);
  SharedPrompts out{std::move(prompts), 0, {}};
  out.shared = common_beginning(out.prompts);
  const std::span<const Id> ids(out.prompts.front().data(), out.shared);
  for (size_t at = 0, count = 0; at < ids.size(); at += count) {
    count = std::min(static_cast<size_t>(chunk), ids.size() - at);
    feed(model, method, ids.subspan(at, count), chunk, out.session);
    if (!step(static_cast<int64_t>(count))) break;
  }
  return out;
}

std::vector<Session> asked(const Transformer& model, const Method& method, std::span<const SharedPrompts* const> all,
                           size_t number) {
  std::vector<Session> out;
  std::vector<Segment> segments;
  for (const auto* one : all) {
    const auto& prompt = one->prompts.at(number);
    const std::vector<int64_t> rest(prompt.begin() + static_cast<int64_t>(one->shared), prompt.end());
    segments.push_back({at::tensor(rest, at::kLong).unsqueeze(0), one->session.state.seen()});  // [1,T]
    out.push_back(one->session);
  }
  advance(model, method, segments, out);
  return out;
}

}  // namespace longview
