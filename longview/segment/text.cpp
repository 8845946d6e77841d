// Running text, every token scored: pieces from anywhere, texts one after the other, or lanes that each follow a text.
//   random  a row is a piece of one text, every place equally often
//   packed  short texts one after the other, EOS between if the tokenizer has one; a text goes on in the next row
//   lanes   a row goes on, batch after batch, where it ended; `carry` says so in Batch::continues
#include "longview/segment/rows.h"

namespace longview {
namespace {

struct TextConfig {
  std::string path, order = "random", field = "text", only;
  int64_t carry = 0;
  void fields(auto&& visit) {
    visit("path", path, "files, folders and archives, joined by ':'");
    visit("order", order, "random, packed or lanes");
    visit("field", field, "of JSON lines");
    visit("only", only, "texts that have this in their path below path=");
    visit("carry", carry, "1: lanes go on in a state that is kept from batch to batch");
  }
};

class RandomText final : public NumberedSource {
 public:
  RandomText(TokenStore store, uint64_t seed) : NumberedSource("text", seed), crops_(std::move(store)) {}

 protected:
  std::vector<Row> rows(const BatchShape& shape, const Random& random) const override {
    std::vector<Row> out(static_cast<size_t>(shape.rows), Row(shape.length));
    for (size_t b = 0; b < out.size(); ++b) {
      Random own = random.fork(b);
      crops_.fill(out[b].ids, own);
      out[b].score(1, shape.length + 1, 0);
    }
    return out;
  }

 private:
  Crops crops_;
};

/// The texts in an order that every round through them shuffles anew.
class TextOrder {
 public:
  TextOrder(int64_t texts, uint64_t seed) : random_(seed), order_(static_cast<size_t>(texts)) { shuffle(); }
  int64_t taken() const { return taken_; }
  /// The next text.
  int64_t take() {
    const auto texts = static_cast<int64_t>(order_.size());
    const int64_t place = taken_ % texts;
    if (place == 0) shuffle();
    ++taken_;
    return order_[static_cast<size_t>(place)];
  }
  void go_to(int64_t taken) {
    taken_ = taken;
    shuffle();
  }

 private:
  void shuffle() {
    for (size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<int64_t>(i);
    random_.fork(static_cast<uint64_t>(taken_) / order_.size()).shuffle(order_);
  }
  Random random_;
  std::vector<int64_t> order_;
  int64_t taken_ = 0;
};

/// Where a lane stands: in which text, at which of its tokens (EOS is the last), and how many texts it has begun.
struct Lane {
  int64_t text = -1, at = 0, begun = 0;
};

class OrderedText final : public Source {
 public:
  OrderedText(TokenStore store, Id eos, const TextConfig& config, uint64_t seed)
      : store_(std::move(store)), eos_(eos), config_(config), order_(store_.texts(), seed) {}

  Batch next(const BatchShape& shape) override {
    check_shape("text", shape);
    const size_t wanted = config_.order == "packed" ? 1 : static_cast<size_t>(shape.rows);
    const bool goes_on = !lanes_.empty() && lanes_.size() == wanted;
    lanes_.resize(wanted);
    std::vector<Row> rows(static_cast<size_t>(shape.rows), Row(shape.length));
    for (size_t b = 0; b < rows.size(); ++b) fill(rows[b], lanes_[b % wanted]);
    Batch out = batch_of(rows, *this);
    out.carried = config_.carry != 0;
    out.continues = out.carried && goes_on;
    return out;
  }
  Json state() const override {
    Json lanes = Json::array();
    for (const Lane& lane : lanes_) lanes.push_back({lane.text, lane.at, lane.begun});
    return {{"source", "text"}, {"order", config_.order}, {"taken", order_.taken()}, {"lanes", lanes}};
  }
  void restore(const Json& state) override {
    LV_CHECK(
        state.is_object() && state.value("order", Json()) == config_.order && state.contains("lanes") && state["lanes"].is_array(),
        "[text] the saved state is of another source: {}", state.dump().substr(0, 80));
    std::vector<Lane> lanes;
    for (const Json& one : state["lanes"]) {
      LV_CHECK(one.is_array() && one.size() == 3, "[text] the saved state is damaged: {}", one.dump().substr(0, 80));
      lanes.push_back({one[0].get<int64_t>(), one[1].get<int64_t>(), one[2].get<int64_t>()});
      LV_CHECK(lanes.back().text < store_.texts() && lanes.back().at >= 0, "[text] the saved state is of other texts");
    }
    order_.go_to(state_value(state, "taken", "text"));
    lanes_ = std::move(lanes);
  }

 private:
  /// Tokens of a text, EOS included.
  int64_t length(int64_t text) const { return store_.length(text) + (eos_ >= 0 ? 1 : 0); }
  Id token(const Lane& lane, int64_t at) const {
    return at < store_.length(lane.text) ? store_[store_.begin(lane.text) + at] : eos_;
  }

  void fill(Row& row, Lane& lane) {
    row.document.resize(row.kind.size());
    for (size_t t = 0; t < row.kind.size(); ++t) {
      if (lane.text < 0 || lane.at == length(lane.text)) lane = {order_.take(), 0, lane.begun + 1};
      row.ids[t] = token(lane, lane.at);
      row.document[t] = lane.begun - 1;
      if (++lane.at == length(lane.text)) continue;  // what follows is another text
      row.kind[t] = 0;
      row.ids[t + 1] = token(lane, lane.at);
    }
  }

  TokenStore store_;
  Id eos_;
  TextConfig config_;
  TextOrder order_;
  std::vector<Lane> lanes_;
};

struct LoopsConfig {
  std::string path, field = "text", only;
  int64_t least = 64, most = 0;
  void fields(auto&& visit) {
    visit("path", path, "files, folders and archives, joined by ':'");
    visit("field", field, "of JSON lines");
    visit("only", only, "texts that have this in their path below path=");
    visit("least", least, "tokens of the shortest snippet");
    visit("most", most, "tokens of the longest; 0: half a row");
  }
};

/// A piece of text again and again: what copies from far back is rewarded, and filler that repeats is no surprise.
class Loops final : public NumberedSource {
 public:
  Loops(TokenStore store, LoopsConfig config, uint64_t seed)
      : NumberedSource("loops", seed), crops_(std::move(store)), config_(std::move(config)) {}

 protected:
  std::vector<Row> rows(const BatchShape& shape, const Random& random) const override {
    const int64_t most = config_.most > 0 ? config_.most : std::max<int64_t>(1, shape.length / 2);
    std::vector<Row> out(static_cast<size_t>(shape.rows), Row(shape.length));
    for (size_t b = 0; b < out.size(); ++b) {
      Random own = random.fork(b);
      std::vector<Id> snippet(static_cast<size_t>(own.between(std::min(config_.least, most), most)));
      crops_.fill(snippet, own);
      repeat(snippet, out[b].ids, own);
      out[b].score(1, shape.length + 1, 0);
    }
    return out;
  }

 private:
  Crops crops_;
  LoopsConfig config_;
};

}  // namespace

std::unique_ptr<Source> make_text(const Setting& setting, const SourceNeeds& needs) {
  const auto config = with_values(TextConfig{}, setting);
  LV_CHECK(config.order == "random" || config.order == "packed" || config.order == "lanes",
           "[text] order must be random, packed or lanes; got '{}'", config.order);
  LV_CHECK(config.carry == 0 || (config.carry == 1 && config.order == "lanes"), "[text] carry=1 goes with order=lanes");
  auto store = needs.tokens({config.path, config.field, config.only});
  if (config.order == "random") return std::make_unique<RandomText>(std::move(store), needs.seed);
  return std::make_unique<OrderedText>(std::move(store), needs.tokenizer->spec().eos, config, needs.seed);
}

std::unique_ptr<Source> make_loops(const Setting& setting, const SourceNeeds& needs) {
  auto config = with_values(LoopsConfig{}, setting);
  LV_CHECK(config.least >= 1 && (config.most == 0 || config.most >= config.least),
           "[loops] least must be from 1 to most; got {} and {}", config.least, config.most);
  auto store = needs.tokens({config.path, config.field, config.only});
  return std::make_unique<Loops>(std::move(store), config, needs.seed);
}

}  // namespace longview
