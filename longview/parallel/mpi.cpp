// MPI through Open MPI's library (libmpi.so.40 of Debian's libopenmpi3), loaded when mpirun started this process: the program itself
// needs no MPI. Names and values are those of Open MPI 4's mpi.h.
#include <dlfcn.h>

#include <exception>
#include <limits>

#include "longview/parallel/communicator.h"

namespace longview {
namespace {

struct Library {
  void* handle = ::dlopen("libmpi.so.40", RTLD_NOW | RTLD_GLOBAL);  // its plugins look for its names

  template <class Function>
  Function* at(const char* name) const {
    void* found = ::dlsym(handle, name);
    LV_CHECK(found != nullptr, "[ranks] libmpi.so.40 has no {}", name);
    return reinterpret_cast<Function*>(found);
  }
  void* object(const char* name) const { return at<void>(name); }
};

const Library& library() {
  static const Library loaded;
  return loaded;
}

/// The functions that are used. A communicator is a pointer, as are types and operations; counts are ints.
struct Mpi {
  using Comm = void*;
  int (*init)(int*, char***, int, int*) = library().at<int(int*, char***, int, int*)>("MPI_Init_thread");
  int (*finalize)() = library().at<int()>("MPI_Finalize");
  int (*comm_size)(Comm, int*) = library().at<int(Comm, int*)>("MPI_Comm_size");
  int (*split)(Comm, int, int, Comm*) = library().at<int(Comm, int, int, Comm*)>("MPI_Comm_split");
  int (*all_reduce)(const void*, void*, int, void*, void*,
                    Comm) = library().at<int(const void*, void*, int, void*, void*, Comm)>("MPI_Allreduce");
  int (*all_gather)(const void*, int, void*, void*, int, void*,
                    Comm) = library().at<int(const void*, int, void*, void*, int, void*, Comm)>("MPI_Allgather");
  int (*reduce_scatter)(const void*, void*, int, void*, void*,
                        Comm) = library().at<int(const void*, void*, int, void*, void*, Comm)>("MPI_Reduce_scatter_block");
  int (*broadcast)(void*, int, void*, int, Comm) = library().at<int(void*, int, void*, int, Comm)>("MPI_Bcast");
  Comm world = library().object("ompi_mpi_comm_world");
  void* sum = library().object("ompi_mpi_op_sum");
  void *f32 = library().object("ompi_mpi_float"), *f64 = library().object("ompi_mpi_double");
  void *i64 = library().object("ompi_mpi_int64_t"), *byte = library().object("ompi_mpi_byte");
  bool is_begun = false;

  ~Mpi() {
    if (is_begun && std::uncaught_exceptions() == 0) finalize();  // waits for all; after an error mpirun ends the others
  }
  void* type(const Tensor& x) const {
    const auto type = x.scalar_type();
    return type == at::kFloat ? f32 : type == at::kDouble ? f64 : type == at::kLong ? i64 : byte;
  }
};

class MpiRanks final : public Communicator {
 public:
  MpiRanks(std::shared_ptr<Mpi> mpi, Mpi::Comm comm, int64_t rank, int64_t size)
      : Communicator(rank, size), mpi_(std::move(mpi)), comm_(comm) {}

  void all_reduce(const Tensor& x) override {
    check_cpu("all_reduce", x, true);
    void* const in_place = reinterpret_cast<void*>(1);
    const Tensor flat = x.view({-1});  // [P]
    for (int64_t first = 0; first < flat.numel(); first += kMost) {
      const Tensor piece = flat.narrow(0, first, std::min(kMost, flat.numel() - first));
      check(mpi_->all_reduce(in_place, piece.data_ptr(), count(piece), mpi_->type(x), mpi_->sum, comm_), "MPI_Allreduce");
    }
  }

  Tensor all_gather(const Tensor& x) override {
    check_cpu("all_gather", x, false);
    const Tensor out = at::empty({size() * x.numel()}, x.options());  // [R*P]
    void* const type = mpi_->type(x);
    const int here = type == mpi_->byte ? static_cast<int>(x.nbytes()) : count(x);
    check(mpi_->all_gather(x.data_ptr(), here, type, out.data_ptr(), here, type, comm_), "MPI_Allgather");
    return out;
  }

  Tensor reduce_scatter(const Tensor& x) override {
    check_cpu("reduce_scatter", x, true);
    LV_CHECK(x.numel() % size() == 0, "[ranks] {} numbers are not cut into {} parts", x.numel(), size());
    const Tensor out = at::empty({x.numel() / size()}, x.options());  // [P]
    check(mpi_->reduce_scatter(x.data_ptr(), out.data_ptr(), count(out), mpi_->type(x), mpi_->sum, comm_),
          "MPI_Reduce_scatter_block");
    return out;
  }

  void broadcast(const Tensor& x) override {
    check_cpu("broadcast", x, false);
    void* const type = mpi_->type(x);
    check(mpi_->broadcast(x.data_ptr(), type == mpi_->byte ? static_cast<int>(x.nbytes()) : count(x), type, 0, comm_), "MPI_Bcast");
  }

  std::shared_ptr<Communicator> part(int64_t first, int64_t count) override {
    Mpi::Comm comm = nullptr;
    check(mpi_->split(comm_, static_cast<int>(first), static_cast<int>(rank()), &comm), "MPI_Comm_split");
    if (count == 1) return one_rank();
    return std::make_shared<MpiRanks>(mpi_, comm, rank() - first, count);
  }

  std::string_view transport() const override { return "mpi"; }

 private:
  static constexpr int64_t kMost = int64_t{1} << 30;  // counts are ints

  static void check(int code, const char* what) { LV_CHECK(code == 0, "[ranks] {} failed with code {}", what, code); }
  static void check_cpu(const char* what, const Tensor& x, bool is_summed) {
    check_exchanged(what, x, is_summed);
    LV_CHECK(x.is_cpu(), "[ranks] {} through MPI needs tensors on the CPU; got {}", what, x.device().str());
  }
  static int count(const Tensor& x) {
    LV_CHECK(x.numel() <= std::numeric_limits<int>::max(), "[ranks] MPI counts to 2^31; a tensor has {} numbers", x.numel());
    return static_cast<int>(x.numel());
  }

  std::shared_ptr<Mpi> mpi_;
  Mpi::Comm comm_;
};

}  // namespace

std::string mpi_refusal(const Launch& launch) {
  if (!launch.by_mpirun) return "mpirun did not start this process";
  if (environment("LONGVIEW_RANKS") == "sockets") return "LONGVIEW_RANKS=sockets";
  return library().handle != nullptr ? "" : ::dlerror();
}

std::shared_ptr<Communicator> connect_mpi(const Launch& launch) {
  const std::string why = mpi_refusal(launch);
  LV_CHECK(why.empty(), "[ranks] no MPI: {}", why);
  static const auto mpi = std::make_shared<Mpi>();
  LV_CHECK(!mpi->is_begun, "[ranks] MPI is begun once in a process");
  int given = 0, size = 0;
  constexpr int kOneAtATime = 2;  // MPI_THREAD_SERIALIZED
  LV_CHECK(mpi->init(nullptr, nullptr, kOneAtATime, &given) == 0 && given >= kOneAtATime, "[ranks] MPI_Init_thread failed");
  mpi->is_begun = true;
  LV_CHECK(mpi->comm_size(mpi->world, &size) == 0 && size == launch.size, "[ranks] MPI knows {} ranks, the environment {}", size,
           launch.size);
  return std::make_shared<MpiRanks>(mpi, mpi->world, launch.rank, launch.size);
}

}  // namespace longview
