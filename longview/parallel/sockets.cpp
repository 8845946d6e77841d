// Ranks find each other through PyTorch's key-value store (torchrun has one already), each with the address where it listens.
#include "longview/parallel/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "longview/base/check.h"

namespace longview {
namespace {

using Clock = std::chrono::steady_clock;

std::string why() { return std::strerror(errno); }

std::chrono::milliseconds milliseconds(double seconds) { return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)); }

/// This machine's address as rank 0 sees it: that of the network that leads there.
in_addr own_address(const Launch& launch) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET, hints.ai_socktype = SOCK_DGRAM;
  const int code = ::getaddrinfo(launch.address.c_str(), std::to_string(launch.port).c_str(), &hints, &found);
  LV_CHECK(code == 0, "[ranks] MASTER_ADDR={}: {}", launch.address, ::gai_strerror(code));
  sockaddr_in own{};
  socklen_t size = sizeof own;
  const int probe = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool is_there = ::connect(probe, found->ai_addr, found->ai_addrlen) == 0 &&  // sends nothing
                        ::getsockname(probe, reinterpret_cast<sockaddr*>(&own), &size) == 0;
  const std::string error = why();
  ::close(probe), ::freeaddrinfo(found);
  LV_CHECK(is_there, "[ranks] there is no way to MASTER_ADDR={}: {}", launch.address, error);
  return own.sin_addr;
}

/// The store writes pages about what it then throws.
class QuietStore {
 public:
  QuietStore() { FLAGS_caffe2_log_level = 3; }
  ~QuietStore() { FLAGS_caffe2_log_level = usual_; }
  QuietStore(const QuietStore&) = delete;
  QuietStore& operator=(const QuietStore&) = delete;

 private:
  int usual_ = FLAGS_caffe2_log_level;
};

c10::intrusive_ptr<c10d::Store> open_store(const Launch& launch, double timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(launch.port);
  options.isServer = launch.rank == 0 && !launch.has_store;
  options.waitWorkers = false, options.useLibUV = false;
  options.timeout = milliseconds(timeout);
  return c10::make_intrusive<c10d::PrefixStore>("longview/" + launch.attempt,
                                                c10::make_intrusive<c10d::TCPStore>(launch.address, options));
}

void make_ready(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
}

}  // namespace

// A rank listens, tells the others where, connects to those before it and takes connections from those after it.
Sockets::Sockets(const Launch& launch, double timeout) : sockets_(static_cast<size_t>(launch.size), -1), timeout_(timeout) {
  timeout = std::min(timeout, 300.0);  // processes that a launcher starts are there at once
  sockaddr_in own{};
  own.sin_family = AF_INET, own.sin_addr = own_address(launch);
  socklen_t size = sizeof own;
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  try {
    LV_CHECK(listening >= 0 && ::bind(listening, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0 &&
                 ::listen(listening, static_cast<int>(launch.size)) == 0 &&
                 ::getsockname(listening, reinterpret_cast<sockaddr*>(&own), &size) == 0,
             "[ranks] rank {} cannot listen: {}", launch.rank, why());
    const QuietStore quiet;
    const auto store = open_store(launch, timeout);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&own);
    store->set(std::to_string(launch.rank), std::vector<uint8_t>(bytes, bytes + sizeof own));
    for (int64_t rank = 0; rank < launch.rank; ++rank) {
      const auto there = store->get(std::to_string(rank));  // waits until it is there
      const int socket = sockets_[static_cast<size_t>(rank)] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const int64_t me = launch.rank;
      LV_CHECK(there.size() == sizeof own && ::connect(socket, reinterpret_cast<const sockaddr*>(there.data()), sizeof own) == 0 &&
                   ::send(socket, &me, sizeof me, MSG_NOSIGNAL) == sizeof me,
               "[ranks] rank {} cannot reach rank {}: {}", launch.rank, rank, why());
    }
    for (int64_t missing = launch.size - 1 - launch.rank; missing > 0; --missing) {
      pollfd waiting{listening, POLLIN, 0};
      LV_CHECK(::poll(&waiting, 1, static_cast<int>(timeout * 1000)) > 0,
               "[ranks] {} of {} ranks did not come within {:.0f} s: were all of them started?", missing, launch.size, timeout);
      const int socket = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
      int64_t rank = 0;
      const bool is_known =
          ::recv(socket, &rank, sizeof rank, MSG_WAITALL) == sizeof rank && rank > launch.rank && rank < launch.size;
      LV_CHECK(is_known && sockets_[static_cast<size_t>(rank)] < 0, "[ranks] an unknown program connects to rank {}", launch.rank);
      sockets_[static_cast<size_t>(rank)] = socket;
    }
    for (const int socket : sockets_)
      if (socket >= 0) make_ready(socket);
    char token = 0;  // nobody leaves before all have read what the store holds: it ends with rank 0
    if (launch.rank > 0) exchange(0, {&token, 1}, 0, {&token, 1});
    for (int64_t rank = 1; launch.rank == 0 && rank < launch.size; ++rank) exchange(rank, {}, rank, {&token, 1});
    for (int64_t rank = 1; launch.rank == 0 && rank < launch.size; ++rank) exchange(rank, {&token, 1}, rank, {});
  } catch (const std::exception& error) {
    ::close(listening);
    for (const int socket : sockets_)
      if (socket >= 0) ::close(socket);
    const std::string text = error.what();
    if (text.starts_with("[ranks]")) throw Error(text);
    fail("[ranks] the ranks did not meet at {}:{} within {:.0f} s (MASTER_ADDR, MASTER_PORT): {}", launch.address, launch.port,
         timeout, text.substr(0, text.find('\n')));
  }
  ::close(listening);
}

Sockets::~Sockets() {
  for (const int socket : sockets_)
    if (socket >= 0) ::close(socket);
}

void Sockets::give_up(int64_t rank) const {
  fail(
      "[ranks] rank {} is gone: its process ended, or its machine cannot be reached. Nothing is lost up to the last checkpoint: "
      "start "
      "all ranks again with --resume",
      first_gone_ >= 0 ? first_gone_ : rank);
}

void Sockets::exchange(int64_t to, std::span<const char> sent, int64_t from, std::span<char> received) {
  auto last = Clock::now();
  std::vector<pollfd> polled(sockets_.size());
  while (!sent.empty() || !received.empty()) {
    // What can be done at once is done without asking; else all ranks are watched, so that the first that goes is the one named.
    ssize_t moved = 0;
    if (!sent.empty()) {
      const ssize_t count = ::send(sockets_.at(static_cast<size_t>(to)), sent.data(), sent.size(), MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN && errno != EINTR) give_up(to);
      if (count > 0) sent = sent.subspan(static_cast<size_t>(count)), moved += count;
    }
    if (!received.empty()) {
      const ssize_t count = ::recv(sockets_.at(static_cast<size_t>(from)), received.data(), received.size(), 0);
      if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) give_up(from);
      if (count > 0) received = received.subspan(static_cast<size_t>(count)), moved += count;
    }
    if (moved > 0) {
      last = Clock::now();
      continue;
    }
    for (size_t rank = 0; rank < sockets_.size(); ++rank) {
      const bool is_to = static_cast<int64_t>(rank) == to && !sent.empty(),
                 is_from = static_cast<int64_t>(rank) == from && !received.empty();
      const bool is_watched = is_to || is_from || first_gone_ < 0;
      polled[rank] = {is_watched ? sockets_[rank] : -1,
                      static_cast<int16_t>(POLLRDHUP | (is_to ? POLLOUT : 0) | (is_from ? POLLIN : 0)), 0};
    }
    ::poll(polled.data(), polled.size(), 1000);
    for (size_t rank = 0; rank < sockets_.size() && first_gone_ < 0; ++rank)
      if ((polled[rank].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) first_gone_ = static_cast<int64_t>(rank);
    LV_CHECK(Clock::now() - last < milliseconds(timeout_),
             "[ranks] rank {} did not answer for {:.0f} s. Nothing is lost up to the last checkpoint: start all ranks again with "
             "--resume; "
             "[run] timeout says how long to wait",
             received.empty() ? to : from, timeout_);
  }
}

}  // namespace longview
