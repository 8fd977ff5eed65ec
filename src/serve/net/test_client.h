// TestClient: a raw TCP client for tests of the servers.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "serve/net/socket.h"

namespace kappa::serve {

class TestClient {
 public:
  /// `address`: "127.0.0.1:5433".
  explicit TestClient(const std::string& address) {
    const auto parts = ParseHostPort(address);
    KAPPA_CHECK(parts.ok());
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(parts->port)));
    ::inet_pton(AF_INET, parts->host.c_str(), &to.sin_addr);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    KAPPA_CHECK(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    socket_ = std::make_unique<Socket>(fd);
  }
  bool Send(std::string_view bytes) { return socket_->Write(bytes, kTimeoutMicros); }
  /// Exactly this many bytes; fewer when the server closed.
  std::string Receive(size_t bytes) {
    while (received_.size() < bytes && socket_->Read(received_, 4096, kTimeoutMicros) == Socket::ReadStatus::kData) {}
    const std::string out = received_.substr(0, bytes);
    received_.erase(0, out.size());
    return out;
  }
  /// Everything until the server closes.
  std::string ReceiveAll() {
    while (socket_->Read(received_, 4096, kTimeoutMicros) == Socket::ReadStatus::kData) {}
    return std::exchange(received_, {});
  }
  void Close() { socket_.reset(); }

 private:
  static constexpr int64_t kTimeoutMicros = 20'000'000;  // only a broken server makes a test wait
  std::unique_ptr<Socket> socket_;
  std::string received_;
};

}  // namespace kappa::serve
