// The log of a training and its page.
#include "tools/train_log.h"

#include <chrono>

#include "longview/base/file.h"

namespace longview::tools {
namespace {

constexpr auto kBetweenPages = std::chrono::seconds(5);

}  // namespace

TrainLog::TrainLog(const std::filesystem::path& folder, bool is_going_on, int64_t steps, Facts facts) : folder_(folder) {
  const auto path = folder / "log.jsonl";
  report_.name = std::filesystem::weakly_canonical(folder).filename().string();
  report_.steps = steps, report_.facts = std::move(facts);
  std::ifstream before(is_going_on ? path : std::filesystem::path());
  for (std::string line; std::getline(before, line);)
    if (Json record = Json::parse(line, nullptr, false); record.is_object()) add_record(report_.records, std::move(record));
  lines_.open(path, is_going_on ? std::ios::app : std::ios::trunc);
  LV_CHECK(lines_.good(), "[train] cannot write {}", path.string());
  write_page();
}

void TrainLog::add(const Json& record) {
  lines_ << record.dump() << std::endl;
  LV_CHECK(lines_.good(), "[train] cannot write {}: is the disk full?", (folder_ / "log.jsonl").string());
  add_record(report_.records, record);
  if (std::chrono::steady_clock::now() >= due_) write_page();
}

void TrainLog::end(TrainingReport::State state, const std::string& words) {
  report_.state = state, report_.words = words;
  if (state != TrainingReport::State::failed) return write_page();
  try {
    write_page();
  } catch (const std::exception&) {  // of a disk that is full, say: what ended the training matters more
  }
}

void TrainLog::write_page() {
  write_file(folder_ / "report.html", html(training_report(report_)));
  due_ = std::chrono::steady_clock::now() + kBetweenPages;
}

}  // namespace longview::tools
