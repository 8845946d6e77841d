// Which of several processes this one is, from what the program that started it left in the environment: torchrun, or Open MPI's mpirun.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace longview {

struct Launch {
  int64_t rank = 0, size = 1;              // of all processes
  int64_t local_rank = 0, local_size = 1;  // of those on this machine
  std::string address = "127.0.0.1";       // of rank 0
  int64_t port = 29500;                    // where rank 0, or torchrun, keeps the list of addresses
  bool has_store = false;                  // torchrun keeps it already
  std::string attempt;                     // torchrun starts again what failed: which time this is
  bool by_mpirun = false;
};

/// A variable's value, "" where it is not set.
using Variable = std::function<std::string(const char* name)>;
std::string environment(const char* name);

/// RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT; or OMPI_COMM_WORLD_RANK and so on. One process where neither is there. Throws
/// on numbers that make no sense.
Launch read_launch(const Variable& variable = environment);

}  // namespace longview
