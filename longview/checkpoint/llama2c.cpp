// llama2.c's first format (github.com/karpathy/llama2.c, run.c): seven int32, then every weight in f32, one kind after the other.
#include <array>
#include <cstring>

#include "longview/base/check.h"
#include "longview/checkpoint/formats.h"
#include "longview/checkpoint/tensor_names.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

struct Header {
  int64_t width = 0, feed_forward = 0, layers = 0, heads = 0, kv_heads = 0, vocabulary = 0, length = 0;
  bool tied = true;

  int64_t head_width() const { return width / heads; }
  bool makes_sense() const {
    const auto within = [](int64_t value, int64_t most) { return value >= 1 && value <= most; };
    return within(width, 1 << 20) && within(feed_forward, 1 << 24) && within(layers, 1 << 12) && within(heads, 1 << 14) &&
           within(kv_heads, heads) && within(vocabulary, 1 << 28) && within(length, 1 << 30) && width % heads == 0;
  }
};

constexpr size_t kHeaderBytes = 7 * sizeof(int32_t);

Header header_of(std::span<const uint8_t> bytes) {
  if (bytes.size() < kHeaderBytes) return {};
  std::array<int32_t, 7> raw{};
  std::memcpy(raw.data(), bytes.data(), kHeaderBytes);
  Header h{raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6]};
  h.tied = h.vocabulary > 0;  // a negative vocabulary marks an output layer of its own
  if (!h.tied) h.vocabulary = -h.vocabulary;
  return h;
}

struct Part {
  const char* name;            // of one layer's tensor, or of the whole when it has no layers
  std::vector<int64_t> shape;  // of one layer's tensor
  bool in_layers;
};

// In the file's order. The two tables of rotations that follow the final norm are skipped: they are computed.
std::vector<Part> parts_of(const Header& h) {
  const int64_t q = h.heads * h.head_width(), kv = h.kv_heads * h.head_width();
  std::vector<Part> parts = {{"model.embed_tokens.weight", {h.vocabulary, h.width}, false},
                             {"input_layernorm.weight", {h.width}, true},
                             {"self_attn.q_proj.weight", {q, h.width}, true},
                             {"self_attn.k_proj.weight", {kv, h.width}, true},
                             {"self_attn.v_proj.weight", {kv, h.width}, true},
                             {"self_attn.o_proj.weight", {h.width, q}, true},
                             {"post_attention_layernorm.weight", {h.width}, true},
                             {"mlp.gate_proj.weight", {h.feed_forward, h.width}, true},
                             {"mlp.down_proj.weight", {h.width, h.feed_forward}, true},
                             {"mlp.up_proj.weight", {h.feed_forward, h.width}, true},
                             {"model.norm.weight", {h.width}, false},
                             {"", {2, h.length, h.head_width() / 2}, false}};
  if (!h.tied) parts.push_back({"lm_head.weight", {h.vocabulary, h.width}, false});
  return parts;
}

// In double: the largest sizes a header may have do not fit 63 bits.
double values_in(const Part& part) {
  double values = 1;
  for (const int64_t dim : part.shape) values *= static_cast<double>(dim);
  return values;
}

fs::path tokenizer_beside(const fs::path& model, int64_t vocabulary) {
  const fs::path folder = model.has_parent_path() ? model.parent_path() : fs::path(".");
  const std::string own = fmt::format("tok{}.bin", vocabulary);
  for (const auto& name : {own, std::string("tokenizer.bin")})
    if (fs::is_regular_file(folder / name)) return folder / name;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("tok") && name.ends_with(".bin") && entry.is_regular_file()) found.push_back(entry.path());
  }
  LV_CHECK(found.size() == 1, "[llama2.c] {}: needs its tokenizer beside it: {} or tokenizer.bin", model.string(), own);
  return found.front();
}

ModelConfig config_of(const Header& h, const fs::path& path) {
  ModelConfig config;
  config.architecture = "llama";
  config.name = path.stem().string();
  config.layers = h.layers;
  config.width = h.width;
  config.heads = h.heads;
  config.kv_heads = h.kv_heads;
  config.head_width = h.head_width();
  config.feed_forward = h.feed_forward;
  config.vocabulary = h.vocabulary;
  config.trained_length = h.length;
  config.tied_head = h.tied;
  config.interleaved_rotary = true;
  return config;
}

}  // namespace

bool looks_like_llama2c(std::span<const uint8_t> bytes) {
  const Header header = header_of(bytes);
  if (!header.makes_sense()) return false;
  double values = 0;
  for (const auto& part : parts_of(header)) values += values_in(part) * static_cast<double>(part.in_layers ? header.layers : 1);
  return values * sizeof(float) + kHeaderBytes == static_cast<double>(bytes.size());
}

Checkpoint open_llama2c(const MappedFile& file) {
  const std::string where = file.path().string();
  LV_CHECK(looks_like_llama2c(file.bytes()), "[llama2.c] {}: its size is not what its header asks for", where);
  const Header header = header_of(file.bytes());
  Checkpoint out;
  out.path = file.path();
  out.config = config_of(header, file.path());
  const auto owner = std::make_shared<MappedFile>(file);
  auto rest = file.bytes().subspan(kHeaderBytes);
  for (const auto& part : parts_of(header)) {
    const auto size = static_cast<size_t>(values_in(part)) * sizeof(float);
    for (int64_t layer = 0; layer < (part.in_layers ? header.layers : 1); ++layer) {
      const std::string name = part.in_layers ? fmt::format("model.layers.{}.{}", layer, part.name) : part.name;
      if (!name.empty()) out.tensors[name] = {part.shape, BlockType::f32, rest.first(size), owner};
      rest = rest.subspan(size);
    }
  }
  const MappedFile tokenizer(tokenizer_beside(file.path(), header.vocabulary));
  out.tokenizer = tokenizer_from_llama2c(tokenizer.bytes(), header.vocabulary, tokenizer.path().string());
  check_checkpoint(out, where);
  return out;
}

}  // namespace longview
