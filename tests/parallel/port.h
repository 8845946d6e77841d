// A port for ranks to meet at.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

namespace longview::testing {

/// A port that nobody listens on.
inline int64_t free_port() {
  sockaddr_in own{};
  own.sin_family = AF_INET, own.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  ::bind(socket, reinterpret_cast<sockaddr*>(&own), sizeof own);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size);
  ::close(socket);
  return ::ntohs(own.sin_port);
}

}  // namespace longview::testing
