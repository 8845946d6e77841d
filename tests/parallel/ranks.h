// Ranks as threads of one process, connected through sockets.
#pragma once

#include <gtest/gtest.h>

#include <thread>

#include "longview/parallel/communicator.h"
#include "tests/parallel/port.h"

namespace longview::testing {

/// Runs `body` on every rank; what each threw, "" where nothing.
inline std::vector<std::string> on_ranks(int64_t size, const std::function<void(const std::shared_ptr<Communicator>&)>& body,
                                         double timeout = 60) {
  Launch launch;
  launch.size = launch.local_size = size, launch.port = free_port();
  std::vector<std::string> errors(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      try {
        Launch own = launch;
        own.rank = own.local_rank = rank;
        body(connect_sockets(own, timeout));
      } catch (const std::exception& error) {
        errors[static_cast<size_t>(rank)] = error.what();
      }
    });
  for (auto& thread : threads) thread.join();
  return errors;
}

inline void expect_none(const std::vector<std::string>& errors) {
  for (const auto& error : errors) EXPECT_EQ(error, "");
}

}  // namespace longview::testing
