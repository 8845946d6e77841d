// Where training batches come from, by name: texts, and tasks made up on the way.
#pragma once

#include "longview/base/fields.h"
#include "longview/base/registry.h"
#include "longview/segment/batch.h"
#include "longview/segment/random.h"
#include "longview/text/tokenizer.h"

namespace longview {

/// All tokens of some files, one after the other.
class TokenPool {
 public:
  /// Files and folders (all files below, by name), separated by commas. Throws on what is missing or no text.
  TokenPool(const std::string& paths, const Tokenizer& tokenizer);
  int64_t size() const { return static_cast<int64_t>(small_.empty() ? large_.size() : small_.size()); }
  int64_t operator[](int64_t i) const { return small_.empty() ? large_[static_cast<size_t>(i)] : small_[static_cast<size_t>(i)]; }
  /// Tokens of all but the last text begin there.
  const std::vector<int64_t>& begins() const { return begins_; }

 private:
  std::vector<uint8_t> small_;  // where the vocabulary has 256 tokens
  std::vector<Id> large_;
  std::vector<int64_t> begins_;
};

struct SourceParts {
  const Tokenizer& tokenizer;
  std::shared_ptr<const TokenPool> pool;  // of the setting's `files`
  uint64_t seed;
};

using MakeSource = std::unique_ptr<Source> (*)(const Setting&, const SourceParts&);
using SourceEntry = Entry<MakeSource>;
std::span<const SourceEntry> sources();

std::unique_ptr<Source> make_text_source(const Setting& setting, const SourceParts& parts);
std::unique_ptr<Source> make_passkey_source(const Setting& setting, const SourceParts& parts);

/// One source, or several that share each batch's rows: each setting has `kind`, a name of sources(), `rows`, its share of the rows (1),
/// `loss`, its weight in the loss (1), and the kind's own values. Files named by several are read once.
std::unique_ptr<Source> make_source(const std::vector<Setting>& settings, const Tokenizer& tokenizer, uint64_t seed);

}  // namespace longview
