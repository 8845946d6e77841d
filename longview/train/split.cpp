// Cutting and putting together.
#include "longview/train/split.h"

#include "longview/base/fields.h"

namespace longview {

Split split_ranks(const std::shared_ptr<Communicator>& all, int64_t sequence_ranks) {
  LV_CHECK(sequence_ranks >= 1 && all->size() % sequence_ranks == 0,
           "[train] sequence_ranks must divide the number of ranks, {}; got {}", all->size(), sequence_ranks);
  const int64_t row_part = all->rank() / sequence_ranks;
  return {all, all->part(row_part * sequence_ranks, sequence_ranks), all->size() / sequence_ranks, row_part};
}

void check_spread(const Split& split, const std::string& attention) {
  if (split.token_parts() == 1) return;
  Setting setting = parse_setting(attention);
  LV_CHECK(setting.name == "infini",
           "[train] sequence_ranks = {} spreads a text's segments of infini over ranks; {} looks back at tokens that other ranks "
           "have: take "
           "infini, or sequence_ranks = 1",
           split.token_parts(), setting.name);
  const auto must_be = [&](const char* key, const char* value) {
    LV_CHECK(setting.values[key] == value,
             "[train] sequence_ranks = {} needs infini with {} = {}: all that a rank knows of the parts before is the memory, "
             "summed up; got "
             "'{}'",
             split.token_parts(), key, *value == '\0' ? "nothing (all layers)" : value, setting.values[key]);
  };
  must_be("rule", "linear"), must_be("memory", "on"), must_be("sinks", "0"), must_be("overlap", "0"), must_be("layers", "");
}

void check_split(const Split& split, int64_t B, int64_t T, int64_t N) {
  LV_CHECK(
      B % split.row_parts == 0,
      "[train] {} rows of {} tokens cannot be shared evenly by {} ranks: [run] tokens, {} tokens here, must be a multiple of {} "
      "(length x ranks)",
      B, T, split.row_parts, B * T, T * split.row_parts);
  LV_CHECK(split.token_parts() == 1 || T % (split.token_parts() * std::max<int64_t>(N, 1)) == 0,
           "[train] {} tokens cannot be spread over {} ranks in whole segments of {}: lengths must be multiples of {}", T,
           split.token_parts(), N, split.token_parts() * N);
}

Batch own_part(const Batch& batch, const Split& split, int64_t N) {
  LV_CHECK((batch.targets >= 0).any().item<bool>(), "[train] a batch has nothing to predict");
  if (split.is_whole()) return batch;
  const int64_t B = batch.ids.size(0), T = batch.ids.size(1);
  check_split(split, B, T, N);
  const int64_t rows = B / split.row_parts, tokens = T / split.token_parts();
  const auto cut = [&](const Tensor& x) {
    if (!x.defined()) return x;
    return x.narrow(0, split.row_part * rows, rows).narrow(1, split.text->rank() * tokens, tokens).contiguous();  // [B/D,T/S]
  };
  Batch out = batch;
  if (!batch.share.defined()) {
    const Tensor is_scored = batch.targets >= 0;  // [B,T]
    out.share = at::full({B, T}, 1.0 / static_cast<double>(is_scored.sum().item<int64_t>())) * is_scored;
  }
  for (Tensor* x : {&out.ids, &out.targets, &out.share, &out.write, &out.document, &out.kind}) *x = cut(*x);
  return out;
}

Tensor places_in_whole(const Tensor& places, int64_t B, int64_t T, const Split& split) {
  const int64_t rows = B / split.row_parts, tokens = T / split.token_parts();
  const Tensor row = places.floor_divide(tokens) + split.row_part * rows;   // [n]
  return row * T + places.remainder(tokens) + split.text->rank() * tokens;  // [n]
}

Tensor of_all_rows(const Tensor& x, const Split& split) {
  if (split.is_whole()) return x;
  auto sizes = x.sizes().vec();
  sizes.insert(sizes.begin(), {split.row_parts, split.token_parts()});
  const Tensor all = split.all->all_gather(x.contiguous()).view(sizes);  // [D,S,B/D,...]: alike in all parts of a text
  return all.select(1, 0).flatten(0, 1);
}

Tensor of_own_rows(const Tensor& x, const Split& split) {
  const int64_t rows = x.size(0) / split.row_parts;
  return x.narrow(0, split.row_part * rows, rows).contiguous();
}

}  // namespace longview
