// The rows of a batch while they are made, and what sources share. Not for use outside this folder.
#pragma once

#include <mutex>

#include "longview/segment/sources.h"

namespace longview {

constexpr int8_t kUnscored = -1;

/// One row of T tokens and the one after them, which is only a target.
struct Row {
  explicit Row(int64_t length)
      : ids(static_cast<size_t>(length) + 1),
        kind(static_cast<size_t>(length), kUnscored),
        write(static_cast<size_t>(length), 1.0f) {}
  /// The tokens [from, to) are scored where they are predicted, one token before.
  void score(int64_t from, int64_t to, int8_t as) {
    for (int64_t at = std::max<int64_t>(from, 1); at < to; ++at) kind[static_cast<size_t>(at - 1)] = as;
  }
  int64_t length() const { return static_cast<int64_t>(kind.size()); }

  std::vector<Id> ids;
  std::vector<int8_t> kind;  // of the target at each place
  std::vector<float> write;
  std::vector<int64_t> document;  // empty: the row is one text
};

/// Rows as a batch; `losses` are the names of the losses by kind. Undefined are `write` where all are 1 and `document` where no row
/// has any.
Batch batch_of(const std::vector<Row>& rows, const Source& source);

/// Gives every loss a share that sums to 1: the mean over its targets.
void share_evenly(Batch& batch, const Source& source);

/// Throws "[where] ..." on a shape without rows or tokens.
void check_shape(std::string_view where, const BatchShape& shape);

/// A source whose batches follow from their number alone.
class NumberedSource : public Source {
 public:
  NumberedSource(std::string name, uint64_t seed) : name_(std::move(name)), random_(seed) {}
  Batch next(const BatchShape& shape) final;
  Json state() const final;
  void restore(const Json& state) final;

 protected:
  virtual std::vector<Row> rows(const BatchShape& shape, const Random& random) const = 0;
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  Random random_;
  int64_t made_ = 0;
};

/// Pieces of texts, each inside one text, every place equally often.
class Crops {
 public:
  explicit Crops(TokenStore store) : store_(std::move(store)) {}
  /// `length` tokens; throws when no text is as long.
  void fill(std::span<Id> to, Random& random) const;
  bool empty() const { return store_.size() == 0; }

 private:
  TokenStore store_;
  mutable std::mutex mutex_;
  mutable std::map<size_t, std::vector<int64_t>> places_;  // by length: places in all texts up to and with each
};

/// A snippet of `period` tokens again and again, from any place of it.
void repeat(std::span<const Id> snippet, std::span<Id> to, Random& random);

/// A value that state() of this source gave; throws "[where] ..." on any other.
int64_t state_value(const Json& state, const char* key, std::string_view where);

}  // namespace longview
