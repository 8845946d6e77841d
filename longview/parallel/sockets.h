// A socket between every two ranks.
#pragma once

#include <span>
#include <vector>

#include "longview/parallel/launch.h"

namespace longview {

class Sockets {
 public:
  /// Finds the other ranks and connects to all of them; throws after `timeout` seconds.
  Sockets(const Launch& launch, double timeout);
  ~Sockets();
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  /// Sends to one rank what it receives in the same call while it receives from another; an empty span is nothing to do. Throws when a
  /// rank is gone, with its number, or says nothing for `timeout` seconds.
  void exchange(int64_t to, std::span<const char> sent, int64_t from, std::span<char> received);

 private:
  [[noreturn]] void give_up(int64_t rank) const;

  std::vector<int> sockets_;  // by rank, -1 at this one
  double timeout_;
  int64_t first_gone_ = -1;
};

}  // namespace longview
