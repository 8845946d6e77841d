// Texts without words: tokens that come again (copy), and
// multi-query associative recall, MQAR (arXiv:2312.04927, Zoology): D pairs k v, then each k again somewhere, where v is to follow.
// How far away is drawn by a power law, gap^(a-1), as there. Two things differ from Zoology's code: v does follow the asked k, so
// that targets are the ids moved by one, and what stands between is drawn from the values alone, so that no key is contradicted.
#include <algorithm>
#include <numeric>

#include "longview/segment/rows.h"

namespace longview {
namespace {

struct AssociativeConfig {
  int64_t pairs = 0, symbols = 0;
  double power = 0.01;
  void fields(auto&& visit) {
    visit("pairs", pairs, "D; 0: a sixteenth of the row");
    visit("symbols", symbols, "ids that are used, half for keys and half for values; 0: the vocabulary");
    visit("power", power, "a: 1 asks at all distances alike, small ones prefer near");
  }
};

class Associative final : public NumberedSource {
 public:
  Associative(AssociativeConfig config, uint64_t seed) : NumberedSource("associative", seed), config_(config) {}
  std::vector<std::string> kinds() const override { return {"associative"}; }
  std::string loss(size_t) const override { return "answers"; }

 protected:
  std::vector<Row> rows(const BatchShape& shape, const Random& random) const override {
    const int64_t T = shape.length, D = config_.pairs > 0 ? config_.pairs : std::max<int64_t>(1, T / 16),
                  half = config_.symbols / 2;
    LV_CHECK(4 * D <= T && D <= half, "[associative] {} pairs need rows of {} tokens and {} symbols; got {} and {}", D, 4 * D,
             2 * D, T, config_.symbols);
    std::vector<Row> out(static_cast<size_t>(shape.rows), Row(T));
    for (size_t b = 0; b < out.size(); ++b) {
      Random own = random.fork(b);
      fill(out[b], D, half, own);
    }
    return out;
  }

 private:
  void fill(Row& row, int64_t pairs, int64_t half, Random& random) const {
    for (Id& id : row.ids) id = static_cast<Id>(half + random.below(half));
    std::vector<Id> keys(static_cast<size_t>(half));
    std::iota(keys.begin(), keys.end(), 0);
    random.shuffle(keys);
    // The first `pairs` slots of the smallest -log(u)/weight: sampling by weight, without repetition.
    const int64_t slots = (row.length() - 2 * pairs) / 2;
    std::vector<std::pair<double, int64_t>> drawn;
    for (int64_t slot = 0; slot < slots; ++slot)
      drawn.emplace_back(-std::log(1 - random.uniform()) * std::pow(static_cast<double>(slot + 1), 1 - config_.power), slot);
    std::nth_element(drawn.begin(), drawn.begin() + pairs - 1, drawn.end());
    for (int64_t pair = 0; pair < pairs; ++pair) {
      const auto i = static_cast<size_t>(2 * pair);
      const int64_t again = 2 * pairs + 2 * drawn[static_cast<size_t>(pair)].second;
      row.ids[i] = keys[static_cast<size_t>(pair)];
      row.ids[static_cast<size_t>(again)] = row.ids[i];
      row.ids[static_cast<size_t>(again) + 1] = row.ids[i + 1];
      row.score(again + 1, again + 2, 0);
    }
  }

  AssociativeConfig config_;
};

struct CopyConfig {
  int64_t tokens = 0, symbols = 0;
  void fields(auto&& visit) {
    visit("tokens", tokens, "after how many the row begins again; 0: half of it");
    visit("symbols", symbols, "ids that are used; 0: the vocabulary");
  }
};

class Copy final : public NumberedSource {
 public:
  Copy(CopyConfig config, uint64_t seed) : NumberedSource("copy", seed), config_(config) {}
  std::vector<std::string> kinds() const override { return {"copied"}; }
  std::string loss(size_t) const override { return "answers"; }

 protected:
  std::vector<Row> rows(const BatchShape& shape, const Random& random) const override {
    const int64_t period = config_.tokens > 0 ? config_.tokens : shape.length / 2;
    LV_CHECK(period < shape.length, "[copy] a row of {} tokens does not begin again after {}", shape.length, period);
    std::vector<Row> out(static_cast<size_t>(shape.rows), Row(shape.length));
    for (size_t b = 0; b < out.size(); ++b) {
      Random own = random.fork(b);
      auto& ids = out[b].ids;
      for (size_t t = 0; t < ids.size(); ++t)
        ids[t] =
            t < static_cast<size_t>(period) ? static_cast<Id>(own.below(config_.symbols)) : ids[t - static_cast<size_t>(period)];
      out[b].score(period + 1, shape.length + 1, 0);  // that the row begins again, its first token says
    }
    return out;
  }

 private:
  CopyConfig config_;
};

int64_t checked_symbols(std::string_view where, int64_t symbols, const Tokenizer& tokenizer) {
  LV_CHECK(symbols == 0 || (symbols >= 2 && symbols <= tokenizer.size()), "[{}] symbols must be 2 to {}, the vocabulary; got {}",
           where, tokenizer.size(), symbols);
  return symbols == 0 ? tokenizer.size() : symbols;
}

}  // namespace

std::unique_ptr<Source> make_associative(const Setting& setting, const SourceNeeds& needs) {
  auto config = with_values(AssociativeConfig{}, setting);
  LV_CHECK(config.pairs >= 0 && config.power > 0, "[associative] pairs and power must not be negative; got {} and {}", config.pairs,
           config.power);
  config.symbols = checked_symbols("associative", config.symbols, *needs.tokenizer);
  return std::make_unique<Associative>(config, needs.seed);
}

std::unique_ptr<Source> make_copy(const Setting& setting, const SourceNeeds& needs) {
  auto config = with_values(CopyConfig{}, setting);
  LV_CHECK(config.tokens >= 0, "[copy] tokens must not be negative; got {}", config.tokens);
  config.symbols = checked_symbols("copy", config.symbols, *needs.tokenizer);
  return std::make_unique<Copy>(config, needs.seed);
}

}  // namespace longview
