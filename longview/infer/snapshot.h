// A session in a file: safetensors, with fingerprints of the model, the method and the tokens, and a checksum of every byte.
#pragma once

#include <filesystem>

#include "longview/infer/memory.h"
#include "longview/infer/session.h"

namespace longview {

/// What a state file says of itself.
struct SnapshotInfo {
  std::string model, model_fingerprint;  // name; 16 hex digits
  std::string position, attention;       // settings
  int64_t tokens = 0;                    // read
  std::string token_digest;              // 16 hex digits, of the tokens in their order
  int64_t state_bytes = 0;
  std::string checksum;            // 16 hex digits, of every byte: the same state of the same text gives the same
  std::string text;                // what was read: a file's name
  std::vector<MemoryFill> memory;  // of the layers that have one
};

/// Writes the file atomically: a crash leaves the old one or the new one. Throws when the disk is full.
void save_session(const std::filesystem::path& path, const Session& session, const Method& method, const ModelConfig& config,
                  uint64_t model_fingerprint, const std::string& text_name);

/// Reads the header and checks every byte against the checksum; throws "[state] ..." when one differs.
SnapshotInfo read_snapshot_info(const std::filesystem::path& path);

struct Restored {
  Session session;
  SnapshotInfo info;
};

/// Throws when the file is damaged or belongs to another model. The method to go on with is the file's own: info.position and
/// info.attention. Continuing gives the same bits as if the text had never been left.
Restored load_session(const std::filesystem::path& path, const ModelConfig& config, uint64_t model_fingerprint,
                      at::Device device = at::kCPU);

}  // namespace longview
