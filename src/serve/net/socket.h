// Socket: one connected TCP stream with timeouts; a bound listener; addresses as text.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "serve/net/tls.h"

namespace kappa::serve {

/// A connected stream. Reads and writes by one thread; the Shutdown functions and PeerGone by any thread.
class Socket {
 public:
  enum class ReadStatus : uint8_t { kData, kEnd, kTimeout, kError };

  explicit Socket(int fd);  // takes the descriptor over; sets TCP_NODELAY and keep-alive
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  /// Appends what has arrived, at most `bytes_max`, waiting for the first byte. timeout_us < 0 waits for ever.
  ReadStatus Read(std::string& out, size_t bytes_max, int64_t timeout_us);
  /// Sends everything. False when the peer is gone or takes nothing for `stall_timeout_us`. Never raises SIGPIPE.
  bool Write(std::string_view bytes, int64_t stall_timeout_us);
  /// The handshake, within the time; everything after it is encrypted. False when it fails; the socket is of no use then.
  bool StartTls(const Tls& tls, int64_t timeout_us);
  /// Tells the peer of an encrypted connection that nothing was cut off.
  void EndTls();
  bool encrypted() const { return tls_ != nullptr; }
  /// True when the peer has closed its end, although unread bytes may be left.
  bool PeerGone() const;
  /// Wakes a reader: it sees the end of the stream. Writing still works for a moment, to say goodbye.
  void ShutdownRead();
  /// Wakes readers and writers.
  void Shutdown();

 private:
  ReadStatus ReadTls(std::string& out, size_t bytes_max, int64_t timeout_us);
  bool WriteTls(std::string_view bytes, int64_t stall_timeout_us);
  /// Waits until the call that gave `result` can go on. False when it cannot, or the time is over (`timed_out`).
  bool AwaitTls(int result, int64_t timeout_us, bool& timed_out);

  const int fd_;
  ssl_st* tls_ = nullptr;
  std::atomic<bool> shut_{false};
};

/// A listening socket on "host:port", "[v6]:port"; port 0 takes a free one.
class Listener {
 public:
  /// `flag` names the command line option for hints ("--pg"). Fails with invalid_parameter_value for an address that is
  /// malformed or, unless `insecure`, not loopback; with object_in_use when the port is taken.
  static Result<Listener> Bind(const std::string& address, std::string_view flag, bool insecure);
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  /// As bound: "127.0.0.1:5433".
  const std::string& address() const { return address_; }
  /// A connected descriptor; -1 when none came within the time, or Wake was called, or no descriptor was free.
  int Accept(int64_t timeout_us);
  void Wake();

 private:
  Listener(int fd, int wake_fd, std::string address) : fd_(fd), wake_fd_(wake_fd), address_(std::move(address)) {}
  int fd_;
  int wake_fd_;
  std::string address_;
};

/// Splits "host:port" or "[v6]:port". Fails with invalid_parameter_value.
struct HostPort {
  std::string host;
  std::string port;
};
Result<HostPort> ParseHostPort(std::string_view address);
/// "localhost", 127.0.0.0/8 and ::1, without brackets and port.
bool IsLoopbackHost(std::string_view host);

}  // namespace kappa::serve
