// Opening a checkpoint of any supported format by what the file is, not by what it is called.
#include "longview/checkpoint/checkpoint.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "longview/base/check.h"
#include "longview/checkpoint/formats.h"
#include "longview/checkpoint/gguf.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKnown = "known are GGUF files, folders with config.json and .safetensors, and llama2.c's .bin";

bool ends_with(const fs::path& path, std::string_view end) { return path.filename().string().ends_with(end); }

Checkpoint read_any(const fs::path& path) {
  LV_CHECK(fs::exists(path), "[checkpoint] '{}' does not exist", path.string());
  if (fs::is_directory(path)) return open_hugging_face(path);
  if (path.filename() == "config.json" || ends_with(path, ".safetensors.index.json")) return open_hugging_face(path);
  const MappedFile file(path);
  const std::string_view text = file.text();
  if (text.starts_with("GGUF")) return checkpoint_from_gguf(read_gguf(file), path);
  if (ends_with(path, ".safetensors")) return open_hugging_face(path);
  LV_CHECK(!text.starts_with("PK\x03\x04") && !text.starts_with("\x80\x02"),
           "[checkpoint] '{}' is a PyTorch pickle, which can run code when it is read; save it as .safetensors", path.string());
  LV_CHECK(!text.starts_with("42ka"),
           "[checkpoint] '{}' is llama2.c's version 1 or 2; only its first format is read (export.py --version 0)", path.string());
  LV_CHECK(!text.starts_with("ggml") && !text.starts_with("lmgg") && !text.starts_with("fmgg") && !text.starts_with("tjgg"),
           "[checkpoint] '{}' is older than GGUF; convert the model again", path.string());
  if (looks_like_llama2c(file.bytes())) return open_llama2c(file);
  fail("[checkpoint] '{}' is no checkpoint; {}", path.string(), kKnown);
}

}  // namespace

// Sizes, names, shapes, types, and four pieces of every tensor: reads about a thousand pages of a large file.
uint64_t fingerprint_of(const Checkpoint& checkpoint) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  const auto add = [&](const void* data, size_t size) { XXH3_64bits_update(&state, data, size); };
  const ModelConfig& c = checkpoint.config;
  const std::string sizes = fmt::format("{} {} {} {} {} {} {} {} {} {} {} {}{}{}{}", c.architecture, c.layers, c.width, c.heads,
                                        c.kv_heads, c.head_width, c.feed_forward, c.vocabulary, c.sliding_window, c.norm_epsilon,
                                        c.rope_base, c.rope_scaling, c.memory_gate, c.position, c.normalized);
  add(sizes.data(), sizes.size());
  constexpr size_t kPieces = 4, kPiece = 64;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    const std::string facts = fmt::format("{} {} {}", name, block_name(tensor.type), fmt::join(tensor.shape, ","));
    add(facts.data(), facts.size());
    const size_t size = tensor.bytes.size(), piece = std::min(kPiece, size);
    for (size_t i = 0; i < kPieces; ++i) add(tensor.bytes.data() + (size - piece) / (kPieces - 1) * i, piece);
  }
  return XXH3_64bits_digest(&state);
}

Checkpoint open_checkpoint(const std::filesystem::path& path) {
  try {
    Checkpoint checkpoint = read_any(path);
    checkpoint.fingerprint = fingerprint_of(checkpoint);
    return checkpoint;
  } catch (const fs::filesystem_error& error) {  // a folder that may not be read, say
    fail("[checkpoint] '{}': {}", path.string(), error.code().message());
  }
}

void check_finite(const std::string& name, const StoredTensor& tensor) {
  const auto [values, bytes] = block_shape(tensor.type);
  const auto blocks = static_cast<int64_t>(tensor.bytes.size()) / bytes;
  LV_CHECK(all_finite(tensor.type, tensor.bytes.data(), blocks * values),
           "[checkpoint] tensor '{}' has weights that are not finite; the file is damaged or its training went wrong", name);
}

}  // namespace longview
