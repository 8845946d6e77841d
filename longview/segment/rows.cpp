#include "longview/segment/rows.h"

#include <algorithm>

namespace longview {

void check_shape(std::string_view where, const BatchShape& shape) {
  LV_CHECK(shape.rows >= 1 && shape.length >= 2, "[{}] a batch has at least 1 row of 2 tokens; got {} of {}", where, shape.rows,
           shape.length);
  LV_CHECK(shape.segment >= 0 && shape.replication >= 1,
           "[{}] segments have 0 or more tokens and count at least once; got {} and {}", where, shape.segment, shape.replication);
}

// Plain loops, here and in batch_of: LibTorch would spread them over threads that a step being computed needs.
void share_evenly(Batch& batch, const Source& source) {
  const size_t kinds = source.kinds().size();
  std::map<std::string, int64_t> counts;  // of targets by loss
  std::vector<int64_t*> count_of;         // by kind: its loss's
  for (size_t kind = 0; kind < kinds; ++kind) count_of.push_back(&counts[source.loss(kind)]);
  const std::span<const int8_t> kind(batch.kind.data_ptr<int8_t>(), static_cast<size_t>(batch.kind.numel()));
  for (const int8_t one : kind)
    if (one >= 0) ++*count_of[static_cast<size_t>(one)];
  batch.share = at::empty(batch.ids.sizes(), at::kFloat);  // [B,T]
  auto* share = batch.share.data_ptr<float>();
  for (const int8_t one : kind) *share++ = one < 0 ? 0.0f : 1.0f / static_cast<float>(*count_of[static_cast<size_t>(one)]);
}

Batch batch_of(const std::vector<Row>& rows, const Source& source) {
  const auto B = static_cast<int64_t>(rows.size()), T = rows.front().length();
  const bool has_documents = std::any_of(rows.begin(), rows.end(), [](const Row& row) { return !row.document.empty(); });
  const bool is_weighted = std::any_of(rows.begin(), rows.end(), [](const Row& row) {
    return std::any_of(row.write.begin(), row.write.end(), [](float weight) { return weight != 1.0f; });
  });
  Batch out;
  out.ids = at::empty({B, T}, at::kLong);                          // [B,T]
  out.targets = at::empty({B, T}, at::kLong);                      // [B,T]
  out.kind = at::empty({B, T}, at::kChar);                         // [B,T]
  if (is_weighted) out.write = at::empty({B, T}, at::kFloat);      // [B,T]
  if (has_documents) out.document = at::empty({B, T}, at::kLong);  // [B,T]
  for (int64_t b = 0; b < B; ++b) {
    const Row& row = rows[static_cast<size_t>(b)];
    auto* ids = out.ids.data_ptr<int64_t>() + b * T;
    auto* targets = out.targets.data_ptr<int64_t>() + b * T;
    for (int64_t t = 0; t < T; ++t) {
      const auto i = static_cast<size_t>(t);
      ids[t] = row.ids[i];
      targets[t] = row.kind[i] == kUnscored ? -1 : row.ids[i + 1];
    }
    std::copy(row.kind.begin(), row.kind.end(), out.kind.data_ptr<int8_t>() + b * T);
    if (is_weighted) std::copy(row.write.begin(), row.write.end(), out.write.data_ptr<float>() + b * T);
    if (has_documents && row.document.empty()) std::fill_n(out.document.data_ptr<int64_t>() + b * T, T, 0);
    if (!row.document.empty()) std::copy(row.document.begin(), row.document.end(), out.document.data_ptr<int64_t>() + b * T);
  }
  out.fresh_tokens = B * T;
  share_evenly(out, source);
  return out;
}

int64_t state_value(const Json& state, const char* key, std::string_view where) {
  LV_CHECK(state.is_object() && state.contains(key) && state[key].is_number_integer(),
           "[{}] the saved state has no whole number '{}'; it is of another source", where, key);
  return state[key].get<int64_t>();
}

Batch NumberedSource::next(const BatchShape& shape) {
  check_shape(name_, shape);
  const auto made = rows(shape, random_.fork(static_cast<uint64_t>(made_)));
  ++made_;
  return batch_of(made, *this);
}

Json NumberedSource::state() const { return {{"source", name_}, {"batches", made_}}; }

void NumberedSource::restore(const Json& state) {
  LV_CHECK(state.is_object() && state.value("source", Json()) == name_, "[{}] the saved state is of another source: {}", name_,
           state.dump().substr(0, 80));
  made_ = state_value(state, "batches", name_);
}

void Crops::fill(std::span<Id> to, Random& random) const {
  const std::vector<int64_t>* places = nullptr;
  {
    const std::lock_guard lock(mutex_);
    auto& known = places_[to.size()];
    if (known.empty()) {
      int64_t sum = 0;
      for (int64_t text = 0; text < store_.texts(); ++text)
        known.push_back(sum += std::max<int64_t>(0, store_.length(text) - static_cast<int64_t>(to.size()) + 1));
    }
    places = &known;
  }
  LV_CHECK(!places->empty() && places->back() > 0,
           "[data] no text has {} tokens for a row; order=packed joins short texts, or take shorter rows", to.size());
  const int64_t place = random.below(places->back());
  const auto text = std::upper_bound(places->begin(), places->end(), place) - places->begin();
  const int64_t before = text == 0 ? 0 : (*places)[static_cast<size_t>(text - 1)];
  const int64_t begin = store_.begin(text) + place - before;
  for (size_t i = 0; i < to.size(); ++i) to[i] = store_[begin + static_cast<int64_t>(i)];
}

void repeat(std::span<const Id> snippet, std::span<Id> to, Random& random) {
  auto at = static_cast<size_t>(random.below(static_cast<int64_t>(snippet.size())));
  for (Id& id : to) {
    id = snippet[at];
    at = at + 1 == snippet.size() ? 0 : at + 1;
  }
}

}  // namespace longview
