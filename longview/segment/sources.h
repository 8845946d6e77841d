// Sources of training batches by name, and what they are made from.
#pragma once

#include <map>

#include "longview/base/fields.h"
#include "longview/base/random.h"
#include "longview/base/registry.h"
#include "longview/segment/batch.h"
#include "longview/text/token_store.h"

namespace longview {

/// What a source is made with beside its setting.
struct SourceNeeds {
  std::shared_ptr<const Tokenizer> tokenizer;
  uint64_t seed = 0;
  TokenCache cache{};
  std::shared_ptr<std::map<TextFiles, TokenStore>> stores =
      std::make_shared<std::map<TextFiles, TokenStore>>();  // by this tokenizer

  /// The tokens of texts, which sources of the same texts share.
  TokenStore tokens(const TextFiles& files) const {
    const auto found = stores->find(files);
    return found != stores->end() ? found->second : stores->emplace(files, tokens_of(files, *tokenizer, cache)).first->second;
  }
};

using SourceMaker = std::unique_ptr<Source> (*)(const Setting&, const SourceNeeds&);
using SourceEntry = Entry<SourceMaker>;

/// Sorted by name.
std::span<const SourceEntry> sources();

/// "text:path=books", or several with the shares of their rows, and how positions are drawn:
/// "0.5*text:path=books,order=packed + 0.5*passkey:path=books | pose:target=32k".
std::unique_ptr<Source> make_source(std::string_view setting, const SourceNeeds& needs);

std::unique_ptr<Source> make_associative(const Setting&, const SourceNeeds&);
std::unique_ptr<Source> make_copy(const Setting&, const SourceNeeds&);
std::unique_ptr<Source> make_loops(const Setting&, const SourceNeeds&);
std::unique_ptr<Source> make_passkey(const Setting&, const SourceNeeds&);
std::unique_ptr<Source> make_recall(const Setting&, const SourceNeeds&);
std::unique_ptr<Source> make_text(const Setting&, const SourceNeeds&);

/// Rows of several sources in one batch; every loss's shares sum to 1 again.
struct MixturePart {
  double weight = 1;
  std::unique_ptr<Source> source;
};
std::unique_ptr<Source> make_mixture(std::vector<MixturePart> parts);

/// `source` with positions of a longer text: "pose" or "random".
std::unique_ptr<Source> make_positions(const Setting& setting, std::unique_ptr<Source> source, uint64_t seed);

/// Makes the next batch in a thread while one is used. A shape other than the one before costs the batch that was begun.
std::unique_ptr<Source> make_prefetched(std::unique_ptr<Source> source);

}  // namespace longview
