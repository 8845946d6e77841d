// Ranks as threads of this process, connected through sockets: sums, gathers, parts of ranks, and a rank that is gone.
#include "tests/parallel/ranks.h"

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace longview {
namespace {

using testing::expect_none;
using testing::free_port;
using testing::on_ranks;

TEST(Communicator, SumsAndGathers) {
  for (const int64_t size : {2, 3, 4})
    expect_none(on_ranks(size, [&](const auto& ranks) {
      const double all = static_cast<double>(size * (size - 1)) / 2, rank = static_cast<double>(ranks->rank());
      for (const int64_t P : {1, 5, 1000, 300000})  // fewer numbers than ranks, and more than a socket holds
        for (const auto type : {at::kFloat, at::kDouble, at::kLong}) {
          const Tensor x = at::arange(P, type);
          const Tensor sum = x * ranks->rank();
          ranks->all_reduce(sum);
          EXPECT_TRUE(sum.equal(x * all));
          const Tensor gathered = ranks->all_gather(x + ranks->rank()).view({size, P});
          for (int64_t r = 0; r < size; ++r) EXPECT_TRUE(gathered[r].equal(x + r));
          const Tensor scattered = ranks->reduce_scatter(at::cat(std::vector<Tensor>(static_cast<size_t>(size), x)) * rank);
          EXPECT_TRUE(scattered.equal(x * all));
          const Tensor from_first = x + ranks->rank();
          ranks->broadcast(from_first);
          EXPECT_TRUE(from_first.equal(x));
        }
      EXPECT_TRUE(ranks->any(ranks->rank() == size - 1));
      EXPECT_FALSE(ranks->any(false));
    }));
}

TEST(Communicator, AllRanksHaveTheSameBits) {
  for (int round = 0; round < 2; ++round) {
    static Tensor first;
    expect_none(on_ranks(4, [&](const auto& ranks) {
      const Tensor x = (at::arange(1000, at::kFloat) * (1 + ranks->rank())).sin();
      const Tensor whole = x.clone();
      ranks->all_reduce(whole);
      const Tensor by_parts = ranks->all_gather(ranks->reduce_scatter(x));
      EXPECT_TRUE(whole.equal(by_parts));
      const Tensor of_first = whole.clone();
      ranks->broadcast(of_first);
      EXPECT_TRUE(whole.equal(of_first));
      if (ranks->rank() > 0) return;
      if (first.defined()) EXPECT_TRUE(first.equal(whole));
      first = whole;
    }));
  }
}

TEST(Communicator, PartsAreOfTheirOwn) {
  expect_none(on_ranks(4, [](const auto& ranks) {
    const int64_t half = ranks->rank() / 2;
    const auto part = ranks->part(half * 2, 2);
    EXPECT_EQ(part->rank(), ranks->rank() % 2);
    const Tensor sum = at::full({3}, ranks->rank(), at::kLong);
    part->all_reduce(sum);
    EXPECT_EQ(sum[0].item<int64_t>(), half == 0 ? 1 : 5);
    EXPECT_EQ(ranks->part(ranks->rank(), 1)->size(), 1);
    ranks->barrier();
  }));
}

TEST(Communicator, NamesTheRankThatIsGone) {
  const auto errors = on_ranks(4, [](const auto& ranks) {
    ranks->barrier();
    if (ranks->rank() == 2) return;
    for (int n = 0; n < 3; ++n) ranks->barrier();
  });
  EXPECT_EQ(errors[2], "");
  for (const size_t rank : {0, 1, 3}) {
    EXPECT_NE(errors[rank].find("is gone"), std::string::npos) << errors[rank];
    EXPECT_NE(errors[rank].find("--resume"), std::string::npos) << errors[rank];
  }
  EXPECT_NE(errors[3].find("rank 2 is gone"), std::string::npos) << errors[3];
}

TEST(Communicator, DoesNotWaitForEver) {
  const auto silent = on_ranks(
      2, [](const auto& ranks) { ranks->rank() == 0 ? ranks->barrier() : std::this_thread::sleep_for(std::chrono::seconds(3)); },
      1);
  EXPECT_NE(silent[0].find("rank 1 did not answer for 1 s"), std::string::npos) << silent[0];
  Launch alone;
  alone.size = 2, alone.port = free_port();
  EXPECT_THROW(connect_sockets(alone, 1), Error);
  alone.rank = 1;
  EXPECT_THROW(connect_sockets(alone, 1), Error);
}

/// As torchrun does: its own store is at the port, with other keys in it.
TEST(Communicator, MeetAtAStoreThatIsThere) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(free_port()), options.isServer = true, options.waitWorkers = false;
  const auto store = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  store->set("0", {1, 2, 3});
  for (const char* attempt : {"0", "1"}) {  // torchrun starts again what failed
    std::vector<std::thread> threads;
    for (int64_t rank = 0; rank < 2; ++rank)
      threads.emplace_back([&, rank] {
        Launch launch;
        launch.rank = rank, launch.size = 2, launch.port = options.port, launch.has_store = true, launch.attempt = attempt;
        EXPECT_TRUE(connect_sockets(launch, 60)->any(rank == 1));
      });
    for (auto& thread : threads) thread.join();
  }
}

TEST(Communicator, SaysWhatCannotBeExchanged) {
  expect_none(on_ranks(2, [](const auto& ranks) {
    EXPECT_THROW(ranks->all_reduce(at::zeros({4, 4}).t()), Error);
    EXPECT_THROW(ranks->all_reduce(at::zeros({4}, at::kBFloat16)), Error);
    EXPECT_THROW(ranks->reduce_scatter(at::zeros({3})), Error);
    EXPECT_THROW(ranks->part(ranks->rank() == 0 ? 1 : 0, 1), Error);
  }));
}

TEST(Launch, KnowsTorchrunAndMpirun) {
  std::map<std::string, std::string> set;
  const Variable variable = [&](const char* name) { return set.contains(name) ? set.at(name) : ""; };
  EXPECT_EQ(read_launch(variable).size, 1);
  set = {{"OMPI_COMM_WORLD_RANK", "3"},
         {"OMPI_COMM_WORLD_SIZE", "4"},
         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
         {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
         {"MASTER_ADDR", "one"}};
  const Launch mpi = read_launch(variable);
  EXPECT_EQ(mpi.rank, 3);
  EXPECT_EQ(mpi.size, 4);
  EXPECT_EQ(mpi.local_rank, 1);
  EXPECT_EQ(mpi.local_size, 2);
  EXPECT_EQ(mpi.address, "one");
  set = {{"RANK", "1"},
         {"WORLD_SIZE", "2"},
         {"LOCAL_RANK", "0"},
         {"LOCAL_WORLD_SIZE", "1"},
         {"MASTER_ADDR", "two"},
         {"MASTER_PORT", "1234"},
         {"TORCHELASTIC_USE_AGENT_STORE", "True"},
         {"TORCHELASTIC_RESTART_COUNT", "5"}};
  const Launch torch = read_launch(variable);
  EXPECT_EQ(torch.rank, 1);
  EXPECT_EQ(torch.size, 2);
  EXPECT_EQ(torch.local_rank, 0);
  EXPECT_EQ(torch.address, "two");
  EXPECT_EQ(torch.port, 1234);
  EXPECT_TRUE(torch.has_store);
  EXPECT_EQ(torch.attempt, "5");
  EXPECT_FALSE(torch.by_mpirun);
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"RANK", "2"}, {"WORLD_SIZE", "x"}, {"MASTER_PORT", "70000"}}) {
    auto kept = set;
    set[name] = value;
    EXPECT_THROW(read_launch(variable), Error) << name;
    set = kept;
  }
}

}  // namespace
}  // namespace longview
