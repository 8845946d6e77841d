// All ranks in a ring (Baidu's all-reduce): each sends 2 (R-1)/R of a tensor, whatever the number of ranks, and every sum is made once, in
// the order of the ring, so that all ranks have the same bits.
#include <algorithm>

#include "longview/parallel/communicator.h"
#include "longview/parallel/sockets.h"

namespace longview {
namespace {

std::span<char> bytes(const Tensor& x) { return {static_cast<char*>(x.data_ptr()), static_cast<size_t>(x.nbytes())}; }

class Ring final : public Communicator {
 public:
  Ring(std::shared_ptr<Sockets> sockets, int64_t first, int64_t rank, int64_t size)
      : Communicator(rank, size), sockets_(std::move(sockets)), first_(first) {}

  void all_reduce(const Tensor& x) override {
    check_cpu("all_reduce", x, true);
    const Tensor flat = x.view({-1});  // [P]
    sum(flat);
    for (int64_t n = 0; n < size() - 1; ++n) pass(part_of(flat, rank() - n), part_of(flat, rank() - n - 1));
  }

  Tensor all_gather(const Tensor& x) override {
    check_cpu("all_gather", x, false);
    const Tensor out = at::empty({size() * x.numel()}, x.options());  // [R*P]
    part_of(out, rank()).copy_(x.view({-1}));
    for (int64_t n = 0; n < size() - 1; ++n) pass(part_of(out, rank() - n), part_of(out, rank() - n - 1));
    return out;
  }

  Tensor reduce_scatter(const Tensor& x) override {
    check_cpu("reduce_scatter", x, true);
    LV_CHECK(x.numel() % size() == 0, "[ranks] {} numbers are not cut into {} parts", x.numel(), size());
    const Tensor flat = x.view({-1}).clone();  // [R*P]
    sum(flat);
    return part_of(flat, rank()).clone();
  }

  void broadcast(const Tensor& x) override {
    check_cpu("broadcast", x, false);
    if (rank() > 0) sockets_->exchange(first_, {}, first_, bytes(x));
    for (int64_t to = 1; rank() == 0 && to < size(); ++to) sockets_->exchange(first_ + to, bytes(x), first_ + to, {});
  }

  std::shared_ptr<Communicator> part(int64_t first, int64_t count) override {
    LV_CHECK(first <= rank() && rank() < first + count && first + count <= size(), "[ranks] rank {} is not in {} ranks from {} on",
             rank(), count, first);
    if (count == 1) return one_rank();
    return std::make_shared<Ring>(sockets_, first_ + first, rank() - first, count);
  }

  std::string_view transport() const override { return "sockets"; }

 private:
  static void check_cpu(const char* what, const Tensor& x, bool is_summed) {
    check_exchanged(what, x, is_summed);
    LV_CHECK(x.is_cpu(), "[ranks] {} through sockets needs tensors on the CPU; got {}", what, x.device().str());
  }
  int64_t around(int64_t rank) const { return (rank % size() + size()) % size(); }
  /// One of `size` nearly equal parts of x [P].
  Tensor part_of(const Tensor& x, int64_t rank) const {
    const int64_t begin = x.numel() * around(rank) / size(), end = x.numel() * (around(rank) + 1) / size();
    return x.narrow(0, begin, end - begin);
  }
  /// To the next rank and from the one before.
  void pass(const Tensor& sent, const Tensor& received) const {
    sockets_->exchange(first_ + around(rank() + 1), bytes(sent), first_ + around(rank() - 1), bytes(received));
  }
  /// After size-1 steps a rank's own part of x is the sum over all ranks.
  void sum(const Tensor& x) const {
    const c10::NoGradGuard no_gradients;
    for (int64_t n = 1; n < size(); ++n) {
      const Tensor mine = part_of(x, rank() - n - 1), theirs = at::empty_like(mine);  // [P/R]
      pass(part_of(x, rank() - n), theirs.view(-1));
      mine.add_(theirs);
    }
  }

  std::shared_ptr<Sockets> sockets_;
  int64_t first_;  // this communicator's rank 0 among all that are connected
};

}  // namespace

std::shared_ptr<Communicator> connect_sockets(const Launch& launch, double timeout) {
  return std::make_shared<Ring>(std::make_shared<Sockets>(launch, timeout), 0, launch.rank, launch.size);
}

}  // namespace longview
