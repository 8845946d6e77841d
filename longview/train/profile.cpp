// LibTorch's profiler, and its events summed by name.
#include "longview/train/profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include "longview/base/device.h"

namespace longview {
namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

std::set<ActivityType> activities(at::Device device) {
  if (device.is_cpu()) return {ActivityType::CPU};
  return {ActivityType::CPU, ActivityType::CUDA};
}

torch::profiler::impl::ProfilerConfig config() {
  return torch::profiler::impl::ProfilerConfig(torch::profiler::impl::ProfilerState::KINETO, /*report_input_shapes=*/true);
}

}  // namespace

Profile::Profile(at::Device device) : device_(device) {
  wait_for(device);
  profiler::prepareProfiler(config(), activities(device));
  profiler::enableProfiler(config(), activities(device), {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION});
}

std::string Profile::finish(const std::filesystem::path& trace, size_t most) {
  wait_for(device_);
  const auto result = profiler::disableProfiler();
  result->save(trace.string());
  LV_CHECK(std::filesystem::exists(trace), "[profile] '{}' cannot be written", trace.string());
  struct Sum {
    int64_t count = 0;
    double seconds = 0;
  };
  std::map<std::string, Sum> sums;
  std::map<uint64_t, std::vector<const profiler::KinetoEvent*>> open;  // by thread: events inside one another
  double total = 0;
  std::vector<const profiler::KinetoEvent*> events;
  for (const auto& event : result->events())
    if ((event.deviceType() == at::kCPU) == device_.is_cpu()) events.push_back(&event);
  std::sort(events.begin(), events.end(), [](const auto* a, const auto* b) {  // the outer one first
    return std::pair(a->startNs(), b->durationNs()) < std::pair(b->startNs(), a->durationNs());
  });
  for (const auto* event : events) {
    const double seconds = static_cast<double>(event->durationNs()) * 1e-9;
    Sum& sum = sums[event->name()];
    ++sum.count, sum.seconds += seconds;
    if (!device_.is_cpu()) {
      total += seconds;
      continue;
    }
    auto& around = open[event->startThreadId()];
    while (!around.empty() && around.back()->startNs() + around.back()->durationNs() <= event->startNs()) around.pop_back();
    if (around.empty()) total += seconds;
    else sums[around.back()->name()].seconds -= seconds;  // each name counts its own time
    around.push_back(event);
  }
  std::vector<std::pair<std::string, Sum>> sorted(sums.begin(), sums.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  std::string out = fmt::format("{:>10} {:>7} {:>6}  name ({} in all)\n", "ms", "calls", "%", sorted.size());
  for (size_t i = 0; i < std::min(most, sorted.size()); ++i) {
    const auto& [name, sum] = sorted[i];
    out +=
        fmt::format("{:>10.3f} {:>7} {:>6.2f}  {}\n", 1e3 * sum.seconds, sum.count, 100 * sum.seconds / total, name.substr(0, 110));
  }
  return out;
}

}  // namespace longview
