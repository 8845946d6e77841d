// What `read` and `state` show of a compressive memory: how full it is, how open its gates are, what it is worth.
#pragma once

#include "longview/infer/memory.h"
#include "tools/program.h"

namespace longview::tools {

/// How full the memory was along a text, means over the layers.
struct MemorySample {
  int64_t tokens = 0;
  double z_mean = 0, norm = 0;
};

/// Samples a memory about 128 times along a text of so many tokens.
class MemoryTrace {
 public:
  explicit MemoryTrace(int64_t tokens) : step_(std::max<int64_t>(tokens / 128, 1)) {}
  void see(const Session& session);
  const std::vector<MemorySample>& samples() const { return samples_; }

 private:
  int64_t step_, next_ = 0;
  std::vector<MemorySample> samples_;
};

bool has_memory(const Method& method, const ModelConfig& config);
/// The same method with its memory knocked out.
Method without_memory(const Method& method, const Transformer& model);

/// A table of the layers, with the gates of `model` where it is given.
std::string memory_text(const std::vector<MemoryFill>& layers, const Transformer* model);
Json memory_json(const std::vector<MemoryFill>& layers, const Transformer* model);
Json memory_json(const std::vector<MemorySample>& samples);

/// Sections of the report: the gates, and the memory along the text.
std::vector<Section> memory_sections(const Transformer& model, const std::vector<MemorySample>& samples);

}  // namespace longview::tools
