// The registry of sources, and several of them as one.
#include "longview/segment/sources.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <numeric>

#include "longview/text/corpus.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const std::string& paths) {
  std::vector<fs::path> out;
  for (size_t begin = 0; begin < paths.size();) {
    const size_t end = std::min(paths.find(',', begin), paths.size());
    const fs::path path = paths.substr(begin, end - begin);
    begin = end + 1;
    LV_CHECK(fs::exists(path), "[data] there is no '{}'", path.string());
    if (!fs::is_directory(path)) {
      out.push_back(path);
      continue;
    }
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(path))
      if (entry.is_regular_file()) found.push_back(entry.path());
    LV_CHECK(!found.empty(), "[data] the folder '{}' has no files", path.string());
    std::sort(found.begin(), found.end());
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

// clang-format off
constexpr std::array kSources{
    SourceEntry{"passkey", "arXiv:2305.16300, 2404.07143", "numbers hidden in filler and books, and many questions for them", "", make_passkey_source},
    SourceEntry{"text", "", "stretches of texts from random places", "", make_text_source},
};
// clang-format on

/// Rows of each batch from every source, by their shares.
class Mixture final : public Source {
 public:
  struct Part {
    std::unique_ptr<Source> source;
    double rows, loss;
  };
  explicit Mixture(std::vector<Part> parts) : parts_(std::move(parts)) {}

  Batch next(const BatchShape& shape) override {
    std::vector<Batch> made;
    double loss = 0, shares = 0, before = 0;
    for (const auto& part : parts_) shares += part.rows;
    int64_t first = 0, kinds = 0;
    for (size_t p = 0; p < parts_.size(); ++p) {
      before += parts_[p].rows / shares;
      const int64_t end = p + 1 == parts_.size() ? shape.rows : std::llround(before * static_cast<double>(shape.rows));
      BatchShape own = shape;
      own.rows = end - first, first = end;
      if (own.rows > 0) made.push_back(filled(parts_[p].source->next(own), parts_[p].loss, kinds)), loss += parts_[p].loss;
      kinds += static_cast<int64_t>(parts_[p].source->kinds().size());
    }
    Batch out;
    const auto joined = [&](Tensor Batch::*field) {
      std::vector<Tensor> all;
      for (const auto& batch : made) all.push_back(batch.*field);
      return at::cat(all);
    };
    out.ids = joined(&Batch::ids), out.targets = joined(&Batch::targets), out.share = joined(&Batch::share);
    out.write = joined(&Batch::write), out.kind = joined(&Batch::kind);
    return out;
  }

  std::vector<std::string> kinds() const override {
    std::vector<std::string> out;
    for (const auto& part : parts_)
      for (auto& kind : part.source->kinds()) out.push_back(std::move(kind));
    return out;
  }
  std::vector<int64_t> steering() const override {
    std::vector<int64_t> out;
    int64_t kinds = 0;
    for (const auto& part : parts_) {
      for (const int64_t kind : part.source->steering()) out.push_back(kinds + kind);
      kinds += static_cast<int64_t>(part.source->kinds().size());
    }
    return out;
  }
  Json state() const override {
    Json out = Json::array();
    for (const auto& part : parts_) out.push_back(part.source->state());
    return out;
  }
  void restore(const Json& state) override {
    LV_CHECK(state.is_array() && state.size() == parts_.size(), "[data] the training was made with other [[data]]");
    for (size_t p = 0; p < parts_.size(); ++p) parts_[p].source->restore(state[p]);
  }

 private:
  static Batch filled(Batch batch, double loss, int64_t kinds) {
    const Tensor scored = batch.targets >= 0;  // [B,T]
    if (!batch.share.defined()) batch.share = scored / scored.sum().clamp_min(1);
    batch.share = batch.share.to(at::kFloat) * loss;
    if (!batch.write.defined()) batch.write = at::ones(batch.ids.sizes(), at::kFloat);
    batch.kind = batch.kind.defined() ? batch.kind + kinds : at::full(batch.ids.sizes(), kinds, at::kLong);
    return batch;
  }
  std::vector<Part> parts_;
};

std::string taken(Setting& setting, const char* key, const char* usual) {
  const auto found = setting.values.find(key);
  if (found == setting.values.end()) return usual;
  const std::string out = found->second;
  setting.values.erase(found);
  return out;
}

}  // namespace

TokenPool::TokenPool(const std::string& paths, const Tokenizer& tokenizer) {
  const bool is_small = tokenizer.size() <= 256;
  for (const auto& path : files_of(paths)) {
    begins_.push_back(size());
    const Document document(path);
    tokenizer.encode(document.text(), Specials::plain, [&](std::span<const Id> ids) {
      if (is_small) small_.insert(small_.end(), ids.begin(), ids.end());
      else large_.insert(large_.end(), ids.begin(), ids.end());
    });
  }
}

std::span<const SourceEntry> sources() { return kSources; }

std::unique_ptr<Source> make_source(const std::vector<Setting>& settings, const Tokenizer& tokenizer, uint64_t seed) {
  LV_CHECK(!settings.empty(), "[data] there is nothing to train on");
  std::map<std::string, std::shared_ptr<const TokenPool>> pools;
  std::vector<Mixture::Part> parts;
  for (Setting setting : settings) {
    const std::string kind = taken(setting, "kind", "text"), files = taken(setting, "files", "");
    const double rows = to_real("data", "rows", taken(setting, "rows", "1")),
                 loss = to_real("data", "loss", taken(setting, "loss", "1"));
    LV_CHECK(rows > 0 && loss >= 0, "[data] rows must be above 0 and loss not negative; got {} and {}", rows, loss);
    setting.name = kind;
    if (!files.empty() && !pools.contains(files)) pools[files] = std::make_shared<TokenPool>(files, tokenizer);
    const auto& entry = find(sources(), "kind of data", kind);
    parts.push_back(
        {entry.make(setting, {tokenizer, files.empty() ? nullptr : pools[files], seed * 1000003 + parts.size()}), rows, loss});
  }
  return std::make_unique<Mixture>(std::move(parts));
}

}  // namespace longview
