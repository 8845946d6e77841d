// NCCL through libnccl.so.2, which comes with LibTorch's CUDA half and is loaded like it (base/device.h). Calls are queued on the device's
// current stream and do not wait. Names and values are those of NCCL 2's nccl.h.
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <array>

#include "longview/parallel/communicator.h"

namespace longview {
namespace {

struct Id {
  char bytes[128];
};

struct Nccl {
  using Comm = void*;
  void* handle = ::dlopen("libnccl.so.2", RTLD_NOW | RTLD_GLOBAL);
  const char* (*error)(int) = at<const char*(int)>("ncclGetErrorString");
  int (*id)(Id*) = at<int(Id*)>("ncclGetUniqueId");
  int (*init)(Comm*, int, Id, int) = at<int(Comm*, int, Id, int)>("ncclCommInitRank");
  int (*abort)(Comm) = at<int(Comm)>("ncclCommAbort");
  int (*all_reduce)(const void*, void*, size_t, int, int, Comm,
                    void*) = at<int(const void*, void*, size_t, int, int, Comm, void*)>("ncclAllReduce");
  int (*all_gather)(const void*, void*, size_t, int, Comm,
                    void*) = at<int(const void*, void*, size_t, int, Comm, void*)>("ncclAllGather");
  int (*reduce_scatter)(const void*, void*, size_t, int, int, Comm,
                        void*) = at<int(const void*, void*, size_t, int, int, Comm, void*)>("ncclReduceScatter");
  int (*broadcast)(const void*, void*, size_t, int, int, Comm,
                   void*) = at<int(const void*, void*, size_t, int, int, Comm, void*)>("ncclBroadcast");

  template <class Function>
  Function* at(const char* name) const {
    LV_CHECK(handle != nullptr, "[ranks] several GPUs need NCCL: {}", ::dlerror());
    void* found = ::dlsym(handle, name);
    LV_CHECK(found != nullptr, "[ranks] libnccl.so.2 has no {}", name);
    return reinterpret_cast<Function*>(found);
  }
  void check(int code, const char* what) const { LV_CHECK(code == 0, "[ranks] {}: {}", what, error(code)); }
};

const Nccl& nccl() {
  static const Nccl loaded;
  return loaded;
}

constexpr int kSum = 0, kByte = 1, kLong = 4, kFloat = 7, kDouble = 8;  // ncclSum; ncclUint8 and so on

class NcclRanks final : public Communicator {
 public:
  NcclRanks(std::shared_ptr<Communicator> control, at::Device device)
      : Communicator(control->rank(), control->size()), control_(std::move(control)), device_(device) {
    const Tensor bytes = at::zeros({sizeof(Id)}, at::kByte);
    Id id{};
    if (rank() == 0) nccl().check(nccl().id(&id), "ncclGetUniqueId");
    std::copy(std::begin(id.bytes), std::end(id.bytes), static_cast<char*>(bytes.data_ptr()));
    control_->broadcast(bytes);
    std::copy_n(static_cast<const char*>(bytes.data_ptr()), sizeof(Id), id.bytes);
    c10::impl::VirtualGuardImpl(at::kCUDA).setDevice(device);
    nccl().check(nccl().init(&comm_, static_cast<int>(size()), id, static_cast<int>(rank())), "ncclCommInitRank");
  }
  ~NcclRanks() override { nccl().abort(comm_); }  // ends what waits for a rank that is gone

  void all_reduce(const Tensor& x) override {
    if (x.is_cpu()) return control_->all_reduce(x);
    check_exchanged("all_reduce", x, true);
    nccl().check(nccl().all_reduce(x.data_ptr(), x.data_ptr(), count(x), type(x), kSum, comm_, stream()), "ncclAllReduce");
  }

  Tensor all_gather(const Tensor& x) override {
    if (x.is_cpu()) return control_->all_gather(x);
    check_exchanged("all_gather", x, false);
    const Tensor out = at::empty({size() * x.numel()}, x.options());  // [R*P]
    nccl().check(nccl().all_gather(x.data_ptr(), out.data_ptr(), x.nbytes(), kByte, comm_, stream()), "ncclAllGather");
    return out;
  }

  Tensor reduce_scatter(const Tensor& x) override {
    if (x.is_cpu()) return control_->reduce_scatter(x);
    check_exchanged("reduce_scatter", x, true);
    LV_CHECK(x.numel() % size() == 0, "[ranks] {} numbers are not cut into {} parts", x.numel(), size());
    const Tensor out = at::empty({x.numel() / size()}, x.options());  // [P]
    nccl().check(nccl().reduce_scatter(x.data_ptr(), out.data_ptr(), count(out), type(x), kSum, comm_, stream()),
                 "ncclReduceScatter");
    return out;
  }

  void broadcast(const Tensor& x) override {
    if (x.is_cpu()) return control_->broadcast(x);
    check_exchanged("broadcast", x, false);
    nccl().check(nccl().broadcast(x.data_ptr(), x.data_ptr(), x.nbytes(), kByte, 0, comm_, stream()), "ncclBroadcast");
  }

  std::shared_ptr<Communicator> part(int64_t first, int64_t count) override {
    auto control = control_->part(first, count);
    if (count == 1) return control;
    return std::make_shared<NcclRanks>(std::move(control), device_);
  }

  std::string_view transport() const override { return "nccl"; }

 private:
  static size_t count(const Tensor& x) { return static_cast<size_t>(x.numel()); }
  static int type(const Tensor& x) {
    return x.scalar_type() == at::kFloat ? kFloat : x.scalar_type() == at::kDouble ? kDouble : kLong;
  }
  void* stream() const { return c10::impl::VirtualGuardImpl(at::kCUDA).getStream(device_).native_handle(); }

  std::shared_ptr<Communicator> control_;
  at::Device device_;
  Nccl::Comm comm_ = nullptr;
};

}  // namespace

std::shared_ptr<Communicator> connect_nccl(const std::shared_ptr<Communicator>& control, at::Device device) {
  return std::make_shared<NcclRanks>(control, device);
}

}  // namespace longview
