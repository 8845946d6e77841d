// The small vocabularies in tests/golden, and what their own tokenizers gave (tokenizer_ids.py).
#pragma once

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "longview/base/file.h"
#include "longview/text/tokenizer.h"

namespace longview {

inline std::string golden_path(const std::string& name) { return std::string(LONGVIEW_GOLDEN) + "/" + name; }

/// gpt2, smollm, llama3, qwen2 (byte-level), legacy, metaspace, words (byte fallback, from tokenizer.json), llama2c.
inline TokenizerSpec golden_spec(const std::string& name) {
  if (name == "llama2c") {
    const MappedFile file(golden_path("tokenizer_llama2c.bin"));
    return tokenizer_from_llama2c(file.bytes(), 600, name);
  }
  return tokenizer_from_json(read_text(golden_path("tokenizer_" + name + ".json")), "", name);
}

inline const nlohmann::json& golden_ids() {
  static const auto made = nlohmann::json::parse(read_text(golden_path("tokenizer_ids.json")));
  return made;
}

/// FNV-1a of 32 bits over the ids, each list ended by -1, as tokenizer_ids.py has it.
class IdHash {
 public:
  void add(std::span<const Id> ids) {
    for (const Id id : ids) add(id);
  }
  void end() { add(-1); }
  std::string text() const { return fmt::format("{:08x}", hash_); }

 private:
  void add(Id id) {
    for (int shift = 0; shift < 32; shift += 8) hash_ = (hash_ ^ (static_cast<uint32_t>(id) >> shift & 0xFF)) * 16777619u;
  }
  uint32_t hash_ = 2166136261u;
};

}  // namespace longview
