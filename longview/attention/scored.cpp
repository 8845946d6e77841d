// Scores by the kernels (a position's fused pieces become key sets) or by the definition (its hooks, a block of queries at a time).
#include "longview/attention/scored.h"

#include <c10/core/GradMode.h>

#include "longview/attention/kv.h"

namespace longview {
namespace {

Tensor longs(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }

/// 1/sqrt(D) and the method's own scale, f64 [T]. A query that sees n keys is scaled as the n-th token of a text: so log n counts what
/// is there, also where a window has dropped the rest.
Tensor row_scale(const Tensor& q, const std::vector<View>& views, const Position& position, int64_t length) {
  std::vector<int64_t> last(static_cast<size_t>(q.size(2)), -1);
  for (const auto& view : views)
    for (size_t t = 0; t < last.size(); ++t) last[t] += std::max<int64_t>(view.to[t] - view.from[t], 0);
  return position.scale(longs(last).clamp_min(0), length) / std::sqrt(static_cast<double>(q.size(-1)));  // [T]
}

/// Whether each stands one behind the one before.
bool follows(const std::vector<int64_t>& places) {
  for (size_t t = 1; t < places.size(); ++t)
    if (places[t] != places[t - 1] + 1) return false;
  return true;
}

kernels::Rotation rotation_at(const Position& position, int64_t length, const Place& place, const std::vector<int64_t>& at_each,
                              at::Device device) {
  const auto [least, most] = std::minmax_element(at_each.begin(), at_each.end());
  const auto table = position.rotation(length, place, *least, *most - *least + 1, device);
  if (follows(at_each)) return table;
  const Tensor rows = (longs(at_each) - *least).to(device, at::kLong, true);  // [T]
  return {table.cos.index_select(0, rows), table.sin.index_select(0, rows)};  // [T,M]
}

/// The rows of one angle, for every query or key that stands there.
kernels::Rotation everywhere(const Position& position, int64_t length, double place, int64_t count, at::Device device) {
  const Place there([place](int64_t) { return place; });
  const auto row = position.rotation(length, there, 0, 1, device);
  return {row.cos.repeat({count, 1}), row.sin.repeat({count, 1})};  // [count,M]
}

/// Scores of pair m times exp(decay_m (i - j)), half of it in the queries and half in the keys, both counted from the middle of the
/// queries: there the powers are small, and those of far keys go to 0 as their scores do.
void fade(kernels::KeySet& set, const Piece& piece, const std::vector<int64_t>& query, const Tensor& j) {
  const auto like = at::TensorOptions(at::kDouble);
  const Tensor i = at::empty({static_cast<int64_t>(query.size())}, like);  // [Tq]
  for (size_t t = 0; t < query.size(); ++t) i.data_ptr<double>()[t] = piece.query(query[t]);
  const double middle = (i.min() + i.max()).item<double>() / 2;
  const auto faded = [&](const kernels::Rotation& rows, const Tensor& distance) {
    const Tensor gain = (distance.unsqueeze(-1) * piece.decay).exp().to(rows.cos.device());  // [T,M]
    return kernels::Rotation{(rows.cos * gain).to(at::kFloat), (rows.sin * gain).to(at::kFloat)};
  };
  set.query = faded(set.query, i - middle), set.key = faded(set.key, middle - j);
}

/// Positions of a view's keys [first, first + count), int64.
Tensor key_positions(const View& view, int64_t first, int64_t count) {
  if (view.distance) return at::zeros({count}, at::kLong);
  if (view.keys.empty()) return at::arange(view.key + first, view.key + first + count, at::kLong);
  return longs({view.keys.begin() + first, view.keys.begin() + first + count});
}

/// Index of the first key that stands at `place` or behind it.
int64_t index_of(const View& view, int64_t place) {
  if (view.keys.empty()) return place - view.key;
  return std::lower_bound(view.keys.begin(), view.keys.end(), place) - view.keys.begin();
}

Tensor bias_of(const Piece& piece, const std::vector<int64_t>& query, const View& view, int64_t first, int64_t count,
               const at::TensorOptions& like) {
  if (view.distance) return piece.bias(query, 0, 1, like).expand({-1, -1, count});  // [H,Tq,Tk]
  if (view.keys.empty()) return piece.bias(query, view.key + first, count, like);   // [H,Tq,Tk]
  const auto at_first = static_cast<size_t>(first);
  const int64_t least = view.keys[at_first], most = view.keys[at_first + static_cast<size_t>(count) - 1];
  const Tensor columns = (key_positions(view, first, count) - least).to(like.device());  // [Tk]
  return piece.bias(query, least, most - least + 1, like).index_select(-1, columns);     // [H,Tq,Tk]
}

/// What the queries of a view reach by one piece, without the keys that nobody reaches; none: nothing.
std::optional<kernels::KeySet> key_set(const Tensor& q, const View& view, const Piece& piece, const Position& position,
                                       int64_t length) {
  kernels::KeySet set{.k = view.k, .v = view.v, .query = {}, .key = {}, .from = view.from, .to = view.to, .first = view.first};
  int64_t least = view.k.size(2), most = 0;
  for (size_t t = 0; t < view.query.size(); ++t) {
    if (view.distance) {  // as key 0 for a query there
      const auto [from, to] = piece.range(*view.distance);
      if (from > 0 || to < 1) set.to[t] = set.from[t];
    } else {
      const auto [from, to] = piece.range(view.query[t]);
      set.from[t] = std::max(view.from[t], index_of(view, from));
      set.to[t] = std::min(view.to[t], index_of(view, to));
    }
    if (set.from[t] < set.to[t]) least = std::min(least, set.from[t]), most = std::max(most, set.to[t]);
  }
  if (least >= most) return std::nullopt;
  set.k = part(view.k, least, most - least), set.v = part(view.v, least, most - least), set.first += least;
  for (size_t t = 0; t < view.query.size(); ++t)
    set.from[t] = std::max<int64_t>(set.from[t] - least, 0), set.to[t] = std::max<int64_t>(set.to[t] - least, 0);
  const at::Device device = view.k.device();
  const std::vector<int64_t> query = view.distance ? std::vector(view.query.size(), *view.distance) : view.query;
  if (piece.bias) set.bias = bias_of(piece, query, view, least, most - least, q.options());  // [H,Tq,Tk]
  if (position.theta(length).numel() == 0) return set;
  if (view.distance) {
    const double distance = piece.query(*view.distance) - piece.key(0);
    set.query = everywhere(position, length, distance, static_cast<int64_t>(view.query.size()), device);
    set.key = everywhere(position, length, 0, most - least, device);
  } else {
    set.query = rotation_at(position, length, piece.query, view.query, device);
    set.key = view.keys.empty()
                  ? position.rotation(length, piece.key, view.key + least, most - least, device)
                  : rotation_at(position, length, piece.key, {view.keys.begin() + least, view.keys.begin() + most}, device);
  }
  if (piece.decay.defined()) fade(set, piece, query, key_positions(view, least, most - least).to(at::kDouble));
  return set;
}

/// Re(sum_m q_m conj(k_m) e^{i theta_m d} gain_m) of the pairs that turn; q [B,H,T,D], k [B,H,Tk,D].
Tensor rotated_scores(const Tensor& q, const Tensor& k, const Position& position, const Tensor& theta, const Tensor& i,
                      const Tensor& j) {
  const int64_t M = theta.size(0);
  const Tensor qa = q.narrow(-1, 0, M), qb = q.narrow(-1, M, M), ka = k.narrow(-1, 0, M), kb = k.narrow(-1, M, M);
  const Tensor phi = position.distance(i, j).unsqueeze(-1) * theta;  // [T,Tk,M]
  Tensor cos = phi.cos(), sin = phi.sin();                           // [T,Tk,M]
  if (const Tensor gain = position.gain(i, j); gain.defined()) cos = cos * gain, sin = sin * gain;
  cos = cos.to(q.dtype()), sin = sin.to(q.dtype());
  const Tensor real = at::einsum("bhim,bhjm,ijm->bhij", {qa, ka, cos}) + at::einsum("bhim,bhjm,ijm->bhij", {qb, kb, cos});
  const Tensor imaginary = at::einsum("bhim,bhjm,ijm->bhij", {qa, kb, sin}) - at::einsum("bhim,bhjm,ijm->bhij", {qb, ka, sin});
  return real + imaginary;  // [B,H,T,Tk]
}

/// Scores of one view by the hooks: the pairs that turn and the rest of the head, times scale, plus bias; hidden keys at -infinity.
Tensor view_scores(const Tensor& q, const View& view, const Tensor& scale, const Position& position, int64_t length) {
  const Tensor theta = position.theta(length);  // [M]
  const int64_t M = theta.size(0), D = q.size(-1), repeat = q.size(1) / view.k.size(1);
  const Tensor i = view.distance ? at::full_like(longs(view.query), *view.distance) : longs(view.query);        // [T]
  const Tensor j = key_positions(view, 0, view.k.size(2));                                                      // [Tk]
  const Tensor k = view.k.repeat_interleave(repeat, 1);                                                         // [B,H,Tk,D]
  Tensor score = at::matmul(q.narrow(-1, 2 * M, D - 2 * M), k.narrow(-1, 2 * M, D - 2 * M).transpose(-1, -2));  // [B,H,T,Tk]
  if (M > 0) score = score + rotated_scores(q, k, position, theta, i, j);
  score = score * scale.to(q.dtype()).unsqueeze(-1);
  if (const Tensor bias = position.bias(i, j); bias.defined()) score = score + bias.to(q.dtype());
  const Tensor x = at::arange(view.k.size(2), at::kLong), from = longs(view.from).unsqueeze(-1), to = longs(view.to).unsqueeze(-1);
  return score.masked_fill((x < from).logical_or(x >= to), -INFINITY);
}

View block_of(const View& view, int64_t first, int64_t count) {
  const auto cut = [&](const std::vector<int64_t>& x) {
    return std::vector<int64_t>(x.begin() + first, x.begin() + first + count);
  };
  View out = view;
  out.from = cut(view.from), out.to = cut(view.to), out.query = cut(view.query);
  return out;
}

}  // namespace

View sliding_view(const Tensor& k, const Tensor& v, int64_t first, int64_t T, int64_t window, int64_t seen, int64_t least) {
  const int64_t begin = first + T - k.size(2), origin = std::max<int64_t>(first - window + 1, 0);  // begin: index of key 0
  View view{.k = k, .v = v, .from = {}, .to = {}, .query = {}, .key = begin - origin, .first = begin};
  for (int64_t i = first; i < first + T; ++i) {
    view.from.push_back(std::max({i - seen + 1, least, begin}) - begin);
    view.to.push_back(i + 1 - begin);
    view.query.push_back(i - origin);
  }
  return view;
}

Tensor scored_by_definition(const Tensor& q, const std::vector<View>& views, const Position& position, int64_t length) {
  constexpr int64_t kBlock = 32;                               // queries a block: bounds the [T,Tk,M] angles
  const Tensor scale = row_scale(q, views, position, length);  // [T]
  std::vector<Tensor> outs;
  for (int64_t first = 0; first < q.size(2); first += kBlock) {
    const int64_t count = std::min(kBlock, q.size(2) - first);
    const Tensor rows = q.narrow(2, first, count);  // [B,H,block,D]
    std::vector<Tensor> scores, values;
    for (const auto& view : views) {
      scores.push_back(view_scores(rows, block_of(view, first, count), scale.narrow(0, first, count), position, length));
      values.push_back(view.v.repeat_interleave(q.size(1) / view.v.size(1), 1));
    }
    const Tensor weights = at::softmax(at::cat(scores, -1), -1).nan_to_num(0.0);  // [B,H,block,sum Tk]
    outs.push_back(at::matmul(weights, at::cat(values, 2)));                      // [B,H,block,D]
  }
  return at::cat(outs, 2);  // [B,H,T,D]
}

namespace {

/// How many queries at a time: biases are written out, so without gradients their size is bounded.
int64_t queries_at_once(const Tensor& q, const std::vector<View>& views, const std::vector<Piece>& pieces) {
  constexpr int64_t kPairs = int64_t{1} << 19;
  const bool is_biased = std::any_of(pieces.begin(), pieces.end(), [](const Piece& piece) { return bool(piece.bias); });
  if (!is_biased || c10::GradMode::is_enabled()) return q.size(2);
  int64_t keys = 1;
  for (const auto& view : views) keys += view.k.size(2);
  return std::clamp<int64_t>(kPairs / keys, 1, q.size(2));
}

}  // namespace

Tensor scored(const Tensor& q, const std::vector<View>& views, const Position& position, int64_t length) {
  if (q.size(2) == 0) return at::empty_like(q);  // [B,H,0,D]
  const Pieces& pieces = position.fused();
  if (!pieces) return scored_by_definition(q, views, position, length);
  const int64_t T = q.size(2), block = queries_at_once(q, views, *pieces);
  const Tensor scale = row_scale(q, views, position, length).to(q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);  // [T]
  std::vector<Tensor> outs;
  for (int64_t first = 0; first < T; first += block) {
    const int64_t count = std::min(block, T - first);
    std::vector<kernels::KeySet> sets;
    for (const auto& view : views) {
      const View own = count == T ? view : block_of(view, first, count);
      for (const auto& piece : *pieces)
        if (auto set = key_set(q, own, piece, position, length)) sets.push_back(std::move(*set));
    }
    outs.push_back(kernels::attention(part(q, first, count), sets, scale.narrow(0, first, count)));
  }
  return outs.size() == 1 ? outs[0] : at::cat(outs, 2);  // [B,H,T,D]
}

}  // namespace longview
