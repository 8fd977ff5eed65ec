// TcpServer: accepts connections and serves each in a thread of its own, within a bound.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "serve/net/socket.h"

namespace kappa::serve {

struct TcpServerOptions {
  std::string address;            // "127.0.0.1:0"
  std::string flag;               // the command line option that sets it, for hints
  bool insecure = false;          // allow an address that is not loopback
  int max_connections = 200;
  int extra_connections = 16;     // served with `over_limit`, to refuse politely; beyond them a connection is just closed
};

class TcpServer {
 public:
  /// Serves one connection and returns when it is over; the socket is closed then. Called in the connection's thread.
  using Handler = std::function<void(Socket& socket, bool over_limit)>;

  static Result<std::unique_ptr<TcpServer>> Start(TcpServerOptions options, Handler handler);
  ~TcpServer();  // stops

  const std::string& address() const { return listener_.address(); }
  const std::atomic<bool>& stopping() const { return stopping_; }
  int connections() const;
  /// Ends listening and gives every reader the end of its stream; `nudge` is then called, to cancel what runs. After
  /// `grace_us` sockets are shut in both directions. Returns when every connection's thread has ended.
  void Stop(const std::function<void()>& nudge = {}, int64_t grace_us = 2'000'000);

 private:
  struct Connection {
    explicit Connection(int fd) : socket(fd) {}
    Socket socket;
    std::thread thread;
    bool over_limit = false;
    std::atomic<bool> done{false};
  };

  TcpServer(TcpServerOptions options, Handler handler, Listener listener);
  void AcceptLoop();
  void JoinFinished();

  const TcpServerOptions options_;
  const Handler handler_;
  Listener listener_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::list<Connection> connections_;  // guarded by mutex_
  std::thread acceptor_;
};

}  // namespace kappa::serve
