// Rows of several sources in one batch. What a weight leaves over from whole rows is carried to the next batch, so the shares are
// exact in the long run.
#include <algorithm>
#include <numeric>

#include "longview/segment/rows.h"

namespace longview {
namespace {

class Mixture final : public Source {
 public:
  explicit Mixture(std::vector<MixturePart> parts) : parts_(std::move(parts)), owed_(parts_.size()), rows_before_(parts_.size()) {
    double sum = 0;
    for (const auto& part : parts_) sum += part.weight;
    for (auto& part : parts_) {
      part.weight /= sum;
      auto& numbers = numbers_.emplace_back();
      const auto own = part.source->kinds();
      for (size_t kind = 0; kind < own.size(); ++kind) numbers.push_back(number_of(own[kind], part.source->loss(kind)));
    }
  }
  int64_t parts() const override { return static_cast<int64_t>(parts_.size()); }
  std::vector<std::string> kinds() const override { return kinds_; }
  std::string loss(size_t kind) const override { return losses_.at(kind); }

  Batch next(const BatchShape& shape) override {
    check_shape("mixture", shape);
    const auto rows = divided(shape);
    std::vector<Batch> made;
    bool goes_on = rows == rows_before_, is_carried = true;
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (rows[i] == 0) continue;
      BatchShape own = shape;
      own.rows = rows[i], own.shares.clear();
      made.push_back(parts_[i].source->next(own));
      number(made.back(), numbers_[i]);
      goes_on = goes_on && made.back().continues, is_carried = is_carried && made.back().carried;
    }
    rows_before_ = rows;
    Batch out = joined(made);
    out.continues = goes_on, out.carried = is_carried;
    share_evenly(out, *this);
    return out;
  }
  Json state() const override {
    Json parts = Json::array();
    for (const auto& part : parts_) parts.push_back(part.source->state());
    return {{"source", "mixture"}, {"parts", parts}, {"owed", owed_}, {"rows", rows_before_}};
  }
  void restore(const Json& state) override {
    LV_CHECK(state.is_object() && state.value("source", Json()) == "mixture" &&
                 state.value("parts", Json()).size() == parts_.size() && state.value("owed", Json()).size() == parts_.size() &&
                 state.value("rows", Json()).size() == parts_.size(),
             "[mixture] the saved state is of another source: {}", state.dump().substr(0, 80));
    for (size_t i = 0; i < parts_.size(); ++i) parts_[i].source->restore(state["parts"][i]);
    owed_ = state["owed"].get<std::vector<double>>();
    rows_before_ = state["rows"].get<std::vector<int64_t>>();
  }

 private:
  /// Kinds of one name are one kind.
  int8_t number_of(const std::string& kind, const std::string& loss) {
    for (size_t i = 0; i < kinds_.size(); ++i)
      if (kinds_[i] == kind && losses_[i] == loss) return static_cast<int8_t>(i);
    kinds_.push_back(kind);
    losses_.push_back(loss);
    return static_cast<int8_t>(kinds_.size() - 1);
  }

  std::vector<int64_t> divided(const BatchShape& shape) {
    const int64_t rows = shape.rows;
    std::vector<int64_t> out(parts_.size());
    LV_CHECK(shape.shares.empty() || shape.shares.size() == parts_.size(), "[mixture] {} shares for {} sources",
             shape.shares.size(), parts_.size());
    const double sum = std::accumulate(shape.shares.begin(), shape.shares.end(), 0.0);
    for (size_t i = 0; i < out.size(); ++i) {
      const double share = shape.shares.empty() ? parts_[i].weight : shape.shares[i] / sum;
      if (share == 0) owed_[i] = 0;
      owed_[i] += share * static_cast<double>(rows);
      out[i] = std::max<int64_t>(0, static_cast<int64_t>(std::floor(owed_[i] + 1e-9)));
    }
    for (int64_t left = rows - std::accumulate(out.begin(), out.end(), int64_t{0}); left != 0; left += left > 0 ? -1 : 1) {
      size_t most = 0;  // of what is owed, or of what was given too much
      const double sign = left > 0 ? 1 : -1;
      for (size_t i = 1; i < out.size(); ++i)
        if (sign * (owed_[i] - static_cast<double>(out[i])) > sign * (owed_[most] - static_cast<double>(out[most]))) most = i;
      out[most] += left > 0 ? 1 : -1;
    }
    for (size_t i = 0; i < out.size(); ++i) owed_[i] -= static_cast<double>(out[i]);
    return out;
  }

  /// A part's kinds as ours.
  static void number(Batch& batch, const std::vector<int8_t>& numbers) {
    auto* kind = batch.kind.data_ptr<int8_t>();
    for (int64_t i = 0; i < batch.kind.numel(); ++i)
      if (kind[i] >= 0) kind[i] = numbers[static_cast<size_t>(kind[i])];
  }

  template <class T>
  static Tensor join(const std::vector<Batch>& made, Tensor Batch::*field, T otherwise) {
    if (std::none_of(made.begin(), made.end(), [&](const Batch& one) { return (one.*field).defined(); })) return {};
    int64_t rows = 0;
    for (const Batch& one : made) rows += one.ids.size(0);
    const Tensor out = at::empty({rows, made.front().ids.size(1)}, c10::CppTypeToScalarType<T>::value);  // [B,T]
    auto* to = out.data_ptr<T>();
    for (const Batch& one : made) {
      const Tensor& part = one.*field;
      to = part.defined() ? std::copy_n(part.data_ptr<T>(), part.numel(), to) : std::fill_n(to, one.ids.numel(), otherwise);
    }
    return out;
  }

  static Batch joined(const std::vector<Batch>& made) {
    Batch out;
    out.ids = join(made, &Batch::ids, int64_t{0});            // [B,T]
    out.targets = join(made, &Batch::targets, int64_t{-1});   // [B,T]
    out.kind = join(made, &Batch::kind, kUnscored);           // [B,T]
    out.write = join(made, &Batch::write, 1.0f);              // [B,T]
    out.document = join(made, &Batch::document, int64_t{0});  // [B,T]
    for (const Batch& one : made) out.fresh_tokens += one.fresh_tokens;
    return out;
  }

  std::vector<MixturePart> parts_;
  std::vector<double> owed_;  // rows of each part that whole rows have left over
  std::vector<int64_t> rows_before_;
  std::vector<std::vector<int8_t>> numbers_;  // by part and its kinds: our kinds
  std::vector<std::string> kinds_, losses_;
};

}  // namespace

std::unique_ptr<Source> make_mixture(std::vector<MixturePart> parts) { return std::make_unique<Mixture>(std::move(parts)); }

}  // namespace longview
