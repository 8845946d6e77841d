// A cache file is the tokens, zeros up to a multiple of 8 bytes, where each text ends (u64), and the footer below.
#include "longview/text/token_store.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include "longview/base/check.h"

namespace longview {
namespace {

constexpr uint64_t kMagic = 0x326E656B6F744C56;  // "VLtoken2"

struct Footer {
  uint64_t magic = kMagic, key = 0, width = 0, tokens = 0, texts = 0, checksum = 0;  // the last is of all that stands before it
};

class Hash {
 public:
  Hash() { XXH3_64bits_reset(&state_); }
  void add(const void* data, size_t size) { XXH3_64bits_update(&state_, data, size); }
  void add(std::string_view text) {
    add_number(text.size());
    add(text.data(), text.size());
  }
  void add_number(uint64_t number) { add(&number, sizeof number); }
  uint64_t value() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

/// What of a tokenizer decides the ids of a text.
void add_tokenizer(Hash& hash, const TokenizerSpec& spec) {
  hash.add(spec.model);
  hash.add(spec.split);
  for (const auto& token : spec.tokens) hash.add(token);
  for (const auto kind : spec.kinds) hash.add_number(static_cast<uint64_t>(kind));
  for (const auto& [left, right] : spec.merges) hash.add(left), hash.add(right);
  hash.add(spec.scores.data(), spec.scores.size() * sizeof(float));
  for (const bool flag : {spec.add_space_prefix, spec.ignore_merges, spec.nfc}) hash.add_number(flag ? 1 : 0);
  hash.add_number(static_cast<uint64_t>(spec.space_prefix));
}

/// The name of the cache (what is asked for) and its key (what the files were like when it was made).
std::pair<std::string, uint64_t> name_and_key(const TextFiles& files, const Tokenizer& tokenizer) {
  Hash hash;
  hash.add(files.path);
  hash.add(files.field);
  hash.add(files.only);
  add_tokenizer(hash, tokenizer.spec());
  const std::string name = fmt::format("{:016x}.tokens", hash.value());
  for (const auto& stamp : stamps(files)) {
    hash.add(stamp.path);
    hash.add_number(stamp.size);
    hash.add_number(static_cast<uint64_t>(stamp.modified));
  }
  return {name, hash.value()};
}

template <class Width>
void append(std::string& out, std::span<const Id> ids) {
  const size_t before = out.size();
  out.resize(before + ids.size() * sizeof(Width));
  auto* to = out.data() + before;
  for (const Id id : ids) {
    const auto token = static_cast<Width>(id);
    std::memcpy(to, &token, sizeof token);
    to += sizeof token;
  }
}

/// Writes the file piece by piece as the texts come, so memory grows with the longest text.
template <class Write>
void write_tokens(const TextFiles& files, const Tokenizer& tokenizer, uint64_t key, const Write& write) {
  Hash hash;
  Footer footer{.key = key, .width = tokenizer.size() <= 256 ? 1u : tokenizer.size() <= 65536 ? 2u : 4u};
  std::vector<uint64_t> ends;
  const auto put = [&](std::string_view bytes) {
    hash.add(bytes.data(), bytes.size());
    write(bytes);
  };
  std::string bytes;
  each_text(files, [&](std::string_view, std::string_view text) {
    tokenizer.encode(text, Specials::plain, [&](std::span<const Id> ids) {
      bytes.clear();
      if (footer.width == 1) append<uint8_t>(bytes, ids);
      else if (footer.width == 2) append<uint16_t>(bytes, ids);
      else append<uint32_t>(bytes, ids);
      footer.tokens += ids.size();
      put(bytes);
    });
    if (footer.tokens > (ends.empty() ? 0 : ends.back())) ends.push_back(footer.tokens);
  });
  LV_CHECK(!ends.empty(), "[data] '{}' has no texts{}", files.path,
           files.only.empty() ? "" : " with '" + files.only + "' in their path below it");
  footer.texts = ends.size();
  put(std::string((8 - footer.tokens * footer.width % 8) % 8, '\0'));
  put({reinterpret_cast<const char*>(ends.data()), ends.size() * sizeof(uint64_t)});
  put({reinterpret_cast<const char*>(&footer), offsetof(Footer, checksum)});
  footer.checksum = hash.value();
  write(std::string_view(reinterpret_cast<const char*>(&footer.checksum), sizeof footer.checksum));
}

}  // namespace

struct TokenFile {
  std::span<const uint8_t> bytes;
  std::shared_ptr<const void> owner;

  /// Nothing, and why, where these are not the tokens that are asked for.
  std::optional<TokenStore> open(uint64_t key, std::string& why) const {
    Footer footer;
    why = "it is damaged";
    if (bytes.size() < sizeof footer) return std::nullopt;
    const size_t body = bytes.size() - sizeof footer;
    std::memcpy(&footer, bytes.data() + body, sizeof footer);
    if (footer.magic != kMagic || footer.width > 4 || footer.tokens > body || footer.texts > body) return std::nullopt;
    const size_t table = (footer.tokens * footer.width + 7) / 8 * 8;
    if (table + footer.texts * sizeof(uint64_t) != body) return std::nullopt;
    if (XXH3_64bits(bytes.data(), body + offsetof(Footer, checksum)) != footer.checksum) return std::nullopt;
    if (footer.key != key) {
      why = "the texts have changed";
      return std::nullopt;
    }

    TokenStore out;
    out.owner_ = owner;
    out.bytes_ = bytes.first(footer.tokens * footer.width);
    out.ends_ = {reinterpret_cast<const uint64_t*>(bytes.data() + table), footer.texts};
    out.tokens_ = static_cast<int64_t>(footer.tokens);
    out.width_ = static_cast<int64_t>(footer.width);
    return out;
  }
  static std::optional<TokenStore> mapped(const std::filesystem::path& path, uint64_t key, std::string& why) {
    const auto file = std::make_shared<const MappedFile>(path);
    return TokenFile{file->bytes(), file}.open(key, why);
  }
};

TokenStore tokens_of(const TextFiles& files, const Tokenizer& tokenizer, const TokenCache& cache) {
  const auto [name, key] = name_and_key(files, tokenizer);
  std::string why;
  std::optional<TokenStore> out;
  if (cache.folder.empty()) {
    const auto bytes = std::make_shared<std::string>();
    write_tokens(files, tokenizer, key, [&](std::string_view piece) { bytes->append(piece); });
    out = TokenFile{{reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()}, bytes}.open(key, why);
  } else {
    std::error_code error;
    std::filesystem::create_directories(cache.folder, error);
    LV_CHECK(!error, "[data] cannot make the folder '{}' for tokens: {}", cache.folder.string(), error.message());
    const auto path = cache.folder / name;
    if (std::filesystem::exists(path)) {
      out = TokenFile::mapped(path, key, why);
      if (out) return *out;
      if (cache.note) cache.note(fmt::format("the tokens in '{}' are made again: {}", path.string(), why));
    }
    AtomicFile file(path);
    write_tokens(files, tokenizer, key, [&](std::string_view piece) { file.write(piece); });
    file.commit();
    out = TokenFile::mapped(path, key, why);
  }
  LV_CHECK(out.has_value(), "[data] the tokens of '{}' cannot be read back: {}", files.path, why);
  return *out;
}

}  // namespace longview
