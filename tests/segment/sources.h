// A folder with texts and sources of them, and a batch as plain numbers.
#pragma once

#include <fstream>

#include "longview/segment/sources.h"
#include "tests/temporary_folder.h"

namespace longview::testing {

inline TokenizerSpec byte_spec() {
  TokenizerSpec spec;
  spec.model = "byte";
  return spec;
}

struct SourceTest : TemporaryFolder {
  std::shared_ptr<const Tokenizer> bytes = make_tokenizer(byte_spec());

  void put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((root / name).parent_path());
    std::ofstream(root / name, std::ios::binary) << text;
  }
  /// Prose without digits, brackets or equals signs, of so many bytes.
  static std::string prose(size_t size, uint64_t seed) {
    Random random(seed);
    std::string out;
    while (out.size() < size) {
      for (int64_t left = random.between(1, 9); left > 0; --left) out += static_cast<char>('a' + random.below(26));
      out += random.chance(0.1) ? ".\n" : " ";
    }
    out.resize(size);
    return out;
  }
  std::unique_ptr<Source> source(std::string setting, uint64_t seed = 1, std::shared_ptr<const Tokenizer> tokenizer = {}) const {
    for (size_t at = setting.find('@'); at != std::string::npos; at = setting.find('@'))
      setting.replace(at, 1, root.string() + "/");
    return make_source(setting, {tokenizer ? tokenizer : bytes, seed});
  }
  static bool same(const Tensor& a, const Tensor& b) { return a.defined() == b.defined() && (!a.defined() || at::equal(a, b)); }
  static bool same(const Batch& a, const Batch& b) {
    return same(a.ids, b.ids) && same(a.targets, b.targets) && same(a.share, b.share) && same(a.write, b.write) &&
           same(a.document, b.document) && same(a.positions, b.positions) && same(a.kind, b.kind) && a.continues == b.continues &&
           a.fresh_tokens == b.fresh_tokens;
  }
  static std::vector<int64_t> numbers(const Tensor& x) {
    const Tensor flat = x.to(at::kLong).contiguous().flatten();  // [N]
    return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
  }
  std::string text(const Tensor& ids, const Tokenizer& tokenizer) const {
    std::string out;
    for (const int64_t id : numbers(ids)) out += tokenizer.bytes(static_cast<Id>(id));
    return out;
  }
};

}  // namespace longview::testing
