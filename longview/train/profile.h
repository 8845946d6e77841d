// Where a step's time goes: every operation and every kernel of a few steps, by LibTorch's profiler.
#pragma once

#include <filesystem>

#include "longview/base/tensor.h"

namespace longview {

/// Records from its making on; one at a time, and only of the thread that makes it and of those that autograd starts.
class Profile {
 public:
  explicit Profile(at::Device device);
  /// Ends it and writes all events as a trace that chrome://tracing and ui.perfetto.dev open; gives a table of the names that took
  /// longest on the device, `most` of them; of the CPU what they did themselves. Throws where the file cannot be written.
  std::string finish(const std::filesystem::path& trace, size_t most = 40);

 private:
  at::Device device_;
};

}  // namespace longview
