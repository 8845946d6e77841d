// What processes that compute together say to each other: the few operations on flat tensors that data, optimiser and sequence parallelism
// need. All ranks of a communicator call the same ones in the same order. A rank that is gone is an Error on the others.
#pragma once

#include "longview/base/tensor.h"
#include "longview/parallel/launch.h"

namespace longview {

class Communicator {
 public:
  Communicator(int64_t rank, int64_t size) : rank_(rank), size_(size) {}
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int64_t rank() const { return rank_; }
  int64_t size() const { return size_; }

  /// The sum over ranks in place of x, contiguous f32, f64 or int64: the same bits on every rank, and again the next time.
  virtual void all_reduce(const Tensor& x) = 0;
  /// x [P] of any type, the same P everywhere -> that of every rank, [size*P].
  virtual Tensor all_gather(const Tensor& x) = 0;
  /// x [size*P], types as of all_reduce -> the sums of this rank's part, [P].
  virtual Tensor reduce_scatter(const Tensor& x) = 0;
  /// Rank 0's values in place of x, contiguous.
  virtual void broadcast(const Tensor& x) = 0;
  /// The ranks from `first` on, `count` of them; this one is among them.
  virtual std::shared_ptr<Communicator> part(int64_t first, int64_t count) = 0;
  /// How the ranks are connected: "sockets", "mpi", "nccl"; "" of one rank.
  virtual std::string_view transport() const = 0;

  /// Whether any rank says so.
  bool any(bool here);
  /// The first rank's text that is not empty, at most 255 bytes of it.
  std::string first_text(const std::string& here);
  /// Returns when all ranks are here.
  void barrier() { any(false); }

 private:
  int64_t rank_, size_;
};

/// One rank, which has nobody to talk to.
std::shared_ptr<Communicator> one_rank();

/// Every rank of a launch, found and connected: MPI under mpirun where its library is there, else sockets. `timeout` is how long a rank
/// waits for the others, in seconds, before it gives up.
std::shared_ptr<Communicator> connect(const Launch& launch, double timeout);

std::shared_ptr<Communicator> connect_sockets(const Launch& launch, double timeout);
/// Why MPI's library cannot be used; "": it can.
std::string mpi_refusal(const Launch& launch);
std::shared_ptr<Communicator> connect_mpi(const Launch& launch);
/// NCCL for tensors on the device; what is on the CPU goes on through `control`.
std::shared_ptr<Communicator> connect_nccl(const std::shared_ptr<Communicator>& control, at::Device device);

/// Throws unless x is contiguous, and of a type that can be summed.
void check_exchanged(const char* what, const Tensor& x, bool is_summed);

}  // namespace longview
