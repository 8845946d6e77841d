// Texts in the order of their tokens: neighbours share most, and what one shares with any later one it shares with all between them.
#include "longview/eval/shared_reading.h"

#include <algorithm>
#include <numeric>

namespace longview {
namespace {

using Texts = std::span<const std::span<const Id>>;

constexpr int64_t kLeast = 512;  // tokens of each text that are read at once, where a batch shares a chunk

/// The order, and what each text shares with the one before it.
struct Order {
  std::vector<size_t> texts, shared;
};

Order order_of(Texts texts, bool is_shared) {
  Order out;
  out.texts.resize(texts.size());
  std::iota(out.texts.begin(), out.texts.end(), 0);
  out.shared.assign(texts.size(), 0);
  if (!is_shared) return out;
  std::stable_sort(out.texts.begin(), out.texts.end(), [&](size_t a, size_t b) {
    return std::lexicographical_compare(texts[a].begin(), texts[a].end(), texts[b].begin(), texts[b].end());
  });
  for (size_t n = 1; n < texts.size(); ++n) {
    const auto a = texts[out.texts[n - 1]], b = texts[out.texts[n]];
    out.shared[n] = static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  }
  return out;
}

/// Where later texts part from text number n, behind what it shares with the one before; from the left.
std::vector<size_t> partings(const Order& order, size_t n) {
  std::vector<size_t> out;
  size_t least = std::numeric_limits<size_t>::max();
  for (size_t later = n + 1; later < order.shared.size(); ++later) {
    if (order.shared[later] <= order.shared[n]) break;
    if (order.shared[later] < least) out.push_back(least = order.shared[later]);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

struct Stop {};

class Reading {
 public:
  Reading(const Transformer& model, const Method& method, Texts texts, const SharedReading& how,
          const std::function<void(size_t, Session)>& done)
      : model_(model), method_(method), texts_(texts), how_(how), done_(done) {}

  void run() {
    const Order order = order_of(texts_, how_.is_shared);
    std::vector<std::pair<size_t, Session>> forks{{0, Session()}};
    for (size_t n = 0; n < order.texts.size(); ++n) {
      while (forks.back().first > order.shared[n]) forks.pop_back();
      const size_t which = order.texts[n];
      auto [at, session] = forks.back();
      for (const size_t parting : partings(order, n)) {
        read(texts_[which].subspan(at, parting - at), session);
        at = parting;
        forks.emplace_back(at, session);
      }
      waiting_.push_back({which, texts_[which].subspan(at), std::move(session)});
      const bool is_last = n + 1 == order.texts.size();
      if (is_last) forks.clear();
      if (is_last || static_cast<int64_t>(waiting_.size()) == how_.batch) finish();
    }
  }

 private:
  struct Rest {
    size_t which;
    std::span<const Id> ids;
    Session session;
  };

  void told(size_t tokens) {
    if (!how_.step(static_cast<int64_t>(tokens))) throw Stop{};
  }
  /// Up to the next multiple of a chunk, so that chunks are the same wherever texts part.
  static size_t piece(const Session& session, size_t left, int64_t chunk) {
    return std::min(left, static_cast<size_t>(chunk - session.state.seen() % chunk));
  }
  void read(std::span<const Id> ids, Session& session) {
    for (size_t count = 0; !ids.empty(); ids = ids.subspan(count)) {
      count = piece(session, ids.size(), how_.chunk);
      feed(model_, method_, ids.first(count), how_.chunk, session);
      told(count);
    }
  }
  /// Reads what is left of the texts that wait, together.
  void finish() {
    while (!waiting_.empty()) {
      for (auto& rest : waiting_)
        if (rest.ids.empty()) done_(rest.which, std::move(rest.session));
      std::erase_if(waiting_, [](const Rest& rest) { return rest.ids.empty(); });
      if (waiting_.size() == 1) read(std::exchange(waiting_[0].ids, {}), waiting_[0].session);
      if (waiting_.size() <= 1) continue;
      const int64_t chunk = std::max(std::min(how_.chunk, kLeast), how_.chunk / static_cast<int64_t>(waiting_.size()));
      std::vector<Segment> segments;
      std::vector<Session> sessions;
      size_t tokens = 0;
      for (auto& rest : waiting_) {
        const size_t count = piece(rest.session, rest.ids.size(), chunk);
        const std::vector<int64_t> ids(rest.ids.begin(), rest.ids.begin() + static_cast<int64_t>(count));
        segments.push_back({at::tensor(ids, at::kLong).unsqueeze(0), rest.session.state.seen()});  // [1,T]
        sessions.push_back(std::move(rest.session));
        rest.ids = rest.ids.subspan(count);
        tokens += count;
      }
      advance(model_, method_, segments, sessions);
      for (size_t n = 0; n < waiting_.size(); ++n) waiting_[n].session = std::move(sessions[n]);
      told(tokens);
    }
  }

  const Transformer& model_;
  const Method& method_;
  Texts texts_;
  const SharedReading& how_;
  const std::function<void(size_t, Session)>& done_;
  std::vector<Rest> waiting_;
};

}  // namespace

bool read_all(const Transformer& model, const Method& method, Texts texts, const SharedReading& how,
              const std::function<void(size_t, Session)>& done) {
  LV_CHECK(how.chunk >= 1 && how.batch >= 1, "[eval] chunk and batch must be at least 1; got {} and {}", how.chunk, how.batch);
  for (const auto& text : texts) LV_CHECK(!text.empty(), "[eval] a text has no tokens");
  try {
    Reading(model, method, texts, how, done).run();
  } catch (const Stop&) {
    return false;
  }
  return true;
}

int64_t tokens_to_read(Texts texts, bool is_shared) {
  const Order order = order_of(texts, is_shared);
  size_t sum = 0;
  for (size_t n = 0; n < texts.size(); ++n) sum += texts[order.texts[n]].size() - order.shared[n];
  return static_cast<int64_t>(sum);
}

}  // namespace longview
