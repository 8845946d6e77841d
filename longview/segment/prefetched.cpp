// The next batch is made in a thread while the one handed out is used.
#include <future>

#include "longview/segment/sources.h"

namespace longview {
namespace {

bool is_same(const BatchShape& a, const BatchShape& b) {
  return a.rows == b.rows && a.length == b.length && a.segment == b.segment && a.replication == b.replication &&
         a.shares == b.shares;
}

class Prefetched final : public Source {
 public:
  explicit Prefetched(std::unique_ptr<Source> source) : source_(std::move(source)), state_(source_->state()) {}

  Batch next(const BatchShape& shape) override {
    if (!begun_.valid() || !is_same(shape, shape_)) {
      drop();
      begin(shape);
    }
    Made made = begun_.get();
    state_ = std::move(made.state);
    begin(shape);
    return std::move(made.batch);
  }
  Json state() const override { return state_; }  // of the batch handed out last: the one begun is not read yet
  void restore(const Json& state) override {
    drop();
    source_->restore(state);
    state_ = state;
  }
  int64_t parts() const override { return source_->parts(); }
  std::vector<std::string> kinds() const override { return source_->kinds(); }
  std::string loss(size_t kind) const override { return source_->loss(kind); }

 private:
  struct Made {
    Batch batch;
    Json state;
  };
  void begin(const BatchShape& shape) {
    shape_ = shape;
    begun_ = std::async(std::launch::async, [this, shape] {
      Batch batch = source_->next(shape);
      return Made{std::move(batch), source_->state()};
    });
  }
  /// Ends what was begun; the source stands where the batch handed out last left it.
  void drop() {
    if (begun_.valid()) begun_.wait();
    begun_ = {};
    source_->restore(state_);
  }

  std::unique_ptr<Source> source_;
  Json state_;
  BatchShape shape_;
  std::future<Made> begun_;  // last, so that it ends first
};

}  // namespace

std::unique_ptr<Source> make_prefetched(std::unique_ptr<Source> source) { return std::make_unique<Prefetched>(std::move(source)); }

}  // namespace longview
