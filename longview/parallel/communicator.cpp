// One rank, and the choice of how several are connected.
#include "longview/parallel/communicator.h"

namespace longview {
namespace {

struct OneRank final : Communicator {
  OneRank() : Communicator(0, 1) {}
  void all_reduce(const Tensor&) override {}
  Tensor all_gather(const Tensor& x) override { return x; }
  Tensor reduce_scatter(const Tensor& x) override { return x; }
  void broadcast(const Tensor&) override {}
  std::shared_ptr<Communicator> part(int64_t, int64_t) override { return std::make_shared<OneRank>(); }
  std::string_view transport() const override { return ""; }
};

}  // namespace

bool Communicator::any(bool here) {
  if (size_ == 1) return here;
  const Tensor count = at::full({1}, here ? 1 : 0, at::kLong);  // [1]
  all_reduce(count);
  return count.item<int64_t>() > 0;
}

std::string Communicator::first_text(const std::string& here) {
  constexpr int64_t kBytes = 256;
  if (size_ == 1) return here;
  const Tensor own = at::zeros({kBytes}, at::kByte);  // [256]
  std::copy_n(here.data(), std::min<size_t>(here.size(), kBytes - 1), static_cast<char*>(own.data_ptr()));
  const Tensor all = all_gather(own);  // [R*256]
  for (int64_t rank = 0; rank < size_; ++rank)
    if (const std::string text = static_cast<const char*>(all.data_ptr()) + rank * kBytes; !text.empty()) return text;
  return "";
}

void check_exchanged(const char* what, const Tensor& x, bool is_summed) {
  LV_CHECK(x.is_contiguous(), "[ranks] {} needs a contiguous tensor; got a view of {}", what, shape_text(x));
  const auto type = x.scalar_type();
  LV_CHECK(!is_summed || type == at::kFloat || type == at::kDouble || type == at::kLong,
           "[ranks] {} sums f32, f64 and int64; got {}", what, c10::toString(type));
}

std::shared_ptr<Communicator> one_rank() { return std::make_shared<OneRank>(); }

std::shared_ptr<Communicator> connect(const Launch& launch, double timeout) {
  if (launch.size == 1) return one_rank();
  return mpi_refusal(launch).empty() ? connect_mpi(launch) : connect_sockets(launch, timeout);
}

}  // namespace longview
