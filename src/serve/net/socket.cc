#include "serve/net/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <utility>

namespace kappa::serve {
namespace {

constexpr int64_t kSliceMicros = 200'000;  // a writer looks so often whether the socket was shut

int PollMillis(int64_t timeout_us) {
  if (timeout_us < 0) return -1;
  return static_cast<int>(std::min<int64_t>((timeout_us + 999) / 1000, 1 << 30));
}

void SetOption(int fd, int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); }

std::string BoundAddress(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  char text[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6->sin6_port));
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
  ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
  return std::string(text) + ":" + std::to_string(ntohs(v4->sin_port));
}

bool IsLoopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) return (ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24) == 127;
  if (address.sa_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
  return false;
}

std::string SystemMessage(int code) {
  std::string text = ::strerror(code);
  if (!text.empty()) text[0] = static_cast<char>(::tolower(text[0]));
  return text;
}

}  // namespace

Socket::Socket(int fd) : fd_(fd) {
  SetOption(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(fd_, SOL_SOCKET, SO_KEEPALIVE, 1);
}

Socket::~Socket() {
  SSL_free(tls_);
  ::close(fd_);
}

Socket::ReadStatus Socket::Read(std::string& out, size_t bytes_max, int64_t timeout_us) {
  if (tls_ != nullptr) return ReadTls(out, bytes_max, timeout_us);
  const size_t before = out.size();
  while (true) {
    pollfd poll_fd{fd_, POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, PollMillis(timeout_us));
    if (ready == 0) return ReadStatus::kTimeout;
    if (ready < 0 && errno != EINTR) return ReadStatus::kError;
    if (ready < 0) continue;
    out.resize(before + bytes_max);
    const ssize_t count = ::recv(fd_, out.data() + before, bytes_max, MSG_DONTWAIT);
    const int error = errno;
    out.resize(before + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count > 0) return ReadStatus::kData;
    if (count == 0) return ReadStatus::kEnd;
    if (error != EINTR && error != EAGAIN && error != EWOULDBLOCK) return ReadStatus::kError;
  }
}

bool Socket::Write(std::string_view bytes, int64_t stall_timeout_us) {
  if (tls_ != nullptr) return WriteTls(bytes, stall_timeout_us);
  // Waits in slices, so that Shutdown ends a writer whose peer takes nothing.
  int64_t stalled_us = 0;
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
      stalled_us = 0;
      continue;
    }
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return false;
    pollfd poll_fd{fd_, POLLOUT, 0};
    const int ready = ::poll(&poll_fd, 1, PollMillis(kSliceMicros));
    if (ready == 0) stalled_us += kSliceMicros;
    if (shut_.load(std::memory_order_relaxed) || stalled_us >= stall_timeout_us) return false;
  }
  return true;
}

bool Socket::StartTls(const Tls& tls, int64_t timeout_us) {
  // OpenSSL writes without MSG_NOSIGNAL; a connection's thread serves nothing else.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  if (::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK) != 0) return false;
  tls_ = tls.NewConnection();
  if (SSL_set_fd(tls_, fd_) != 1) return false;
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::microseconds(timeout_us);
  while (true) {
    const int result = SSL_accept(tls_);
    if (result == 1) return true;
    bool timed_out = false;
    const int64_t left_us = std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()).count();
    if (left_us <= 0 || !AwaitTls(result, left_us, timed_out)) return false;
  }
}

void Socket::EndTls() {
  if (tls_ != nullptr && SSL_is_init_finished(tls_)) SSL_shutdown(tls_);
  ERR_clear_error();
}

bool Socket::AwaitTls(int result, int64_t timeout_us, bool& timed_out) {
  const int error = SSL_get_error(tls_, result);
  ERR_clear_error();
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return false;
  pollfd poll_fd{fd_, static_cast<short>(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT), 0};
  const int ready = ::poll(&poll_fd, 1, PollMillis(timeout_us));
  timed_out = ready == 0;
  return ready > 0 || (ready < 0 && errno == EINTR);
}

Socket::ReadStatus Socket::ReadTls(std::string& out, size_t bytes_max, int64_t timeout_us) {
  const size_t before = out.size();
  while (true) {
    out.resize(before + bytes_max);
    const int count = SSL_read(tls_, out.data() + before, static_cast<int>(bytes_max));
    out.resize(before + static_cast<size_t>(std::max(count, 0)));
    if (count > 0) return ReadStatus::kData;
    if (SSL_get_error(tls_, count) == SSL_ERROR_ZERO_RETURN) return ReadStatus::kEnd;
    bool timed_out = false;
    if (!AwaitTls(count, timeout_us, timed_out)) return timed_out ? ReadStatus::kTimeout : ReadStatus::kError;
  }
}

bool Socket::WriteTls(std::string_view bytes, int64_t stall_timeout_us) {
  int64_t stalled_us = 0;
  while (!bytes.empty()) {
    const int count = SSL_write(tls_, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 1 << 30)));
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
      stalled_us = 0;
      continue;
    }
    bool timed_out = false;
    if (!AwaitTls(count, kSliceMicros, timed_out) && !timed_out) return false;
    if (timed_out) stalled_us += kSliceMicros;
    if (shut_.load(std::memory_order_relaxed) || stalled_us >= stall_timeout_us) return false;
  }
  return true;
}

bool Socket::PeerGone() const {
  pollfd poll_fd{fd_, POLLRDHUP, 0};
  return ::poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Socket::ShutdownRead() { ::shutdown(fd_, SHUT_RD); }

void Socket::Shutdown() {
  shut_ = true;
  ::shutdown(fd_, SHUT_RDWR);
}

Result<HostPort> ParseHostPort(std::string_view address) {
  const auto malformed = [&] {
    return Error(sqlstate::kInvalidParameterValue, "invalid address \"" + std::string(address) + "\"")
        .Hint("Write HOST:PORT, for example 127.0.0.1:5432, or 127.0.0.1:0 for a free port.");
  };
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return malformed();
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return malformed();
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return malformed();
  }
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number > 65535) return malformed();
  return HostPort{std::string(host), std::string(port)};
}

bool IsLoopbackHost(std::string_view host) {
  if (host == "localhost") return true;
  const std::string text(host);
  in_addr v4;
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  return ::inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

Result<Listener> Listener::Bind(const std::string& address, std::string_view flag, bool insecure) {
  KAPPA_ASSIGN_OR_RETURN(const HostPort parts, ParseHostPort(address));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &found); error != 0) {
    return Error(sqlstate::kInvalidParameterValue, "could not resolve \"" + parts.host + "\": " + ::gai_strerror(error))
        .Hint("Give an address of this machine with " + std::string(flag) + ".");
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  // "localhost" may name both families: the IPv4 one is what most clients try.
  const addrinfo* chosen = found;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (each->ai_family == AF_INET) {
      chosen = each;
      break;
    }
  }
  if (!insecure && !IsLoopback(*chosen->ai_addr)) {
    return Error(sqlstate::kInvalidParameterValue, "refusing to listen on \"" + address + "\": it is not a loopback address")
        .Detail("Everyone on the network could use it.")
        .Hint("Use a loopback address with " + std::string(flag) +
              " and a tunnel or a proxy that authenticates, or accept the risk with --insecure.");
  }
  const int fd = ::socket(chosen->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Error(sqlstate::kIoError, "could not create a socket: " + SystemMessage(errno));
  SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (chosen->ai_family == AF_INET6) SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (::bind(fd, chosen->ai_addr, chosen->ai_addrlen) != 0 || ::listen(fd, 256) != 0) {
    const int code = errno;
    ::close(fd);
    const bool taken = code == EADDRINUSE;
    return Error(taken ? sqlstate::kObjectInUse : sqlstate::kIoError, "could not listen on \"" + address + "\": " + SystemMessage(code))
        .Hint("Choose another address with " + std::string(flag) + "; port 0 takes a free one.");
  }
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) {
    const int code = errno;
    ::close(fd);
    return Error(sqlstate::kIoError, "could not create an event: " + SystemMessage(code));
  }
  return Listener(fd, wake, BoundAddress(fd));
}

Listener::Listener(Listener&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), wake_fd_(std::exchange(other.wake_fd_, -1)), address_(std::move(other.address_)) {}

Listener::~Listener() {
  if (fd_ >= 0) ::close(fd_);
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

int Listener::Accept(int64_t timeout_us) {
  pollfd waits[2] = {{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  if (::poll(waits, 2, PollMillis(timeout_us)) <= 0 || (waits[1].revents & POLLIN) != 0) return -1;
  const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
    ::poll(&waits[1], 1, 50);  // no descriptor is free: let connections end instead of spinning
  }
  return fd;
}

void Listener::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
}

}  // namespace kappa::serve
