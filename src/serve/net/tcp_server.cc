#include "serve/net/tcp_server.h"

#include <unistd.h>

#include <chrono>
#include <system_error>
#include <utility>

namespace kappa::serve {

Result<std::unique_ptr<TcpServer>> TcpServer::Start(TcpServerOptions options, Handler handler) {
  KAPPA_ASSIGN_OR_RETURN(Listener listener, Listener::Bind(options.address, options.flag, options.insecure));
  return std::unique_ptr<TcpServer>(new TcpServer(std::move(options), std::move(handler), std::move(listener)));
}

TcpServer::TcpServer(TcpServerOptions options, Handler handler, Listener listener)
    : options_(std::move(options)), handler_(std::move(handler)), listener_(std::move(listener)) {
  acceptor_ = std::thread([this] { AcceptLoop(); });
}

TcpServer::~TcpServer() { Stop(); }

int TcpServer::connections() const {
  const std::lock_guard lock(mutex_);
  int count = 0;
  for (const Connection& each : connections_) count += each.done ? 0 : 1;
  return count;
}

void TcpServer::AcceptLoop() {
  constexpr int64_t kReapMicros = 1'000'000;  // finished threads are joined at least this often
  while (!stopping_) {
    const int fd = listener_.Accept(kReapMicros);
    JoinFinished();
    if (fd < 0) continue;
    const std::lock_guard lock(mutex_);
    const int count = static_cast<int>(connections_.size());
    if (stopping_ || count >= options_.max_connections + options_.extra_connections) {
      ::close(fd);
      continue;
    }
    Connection& connection = connections_.emplace_back(fd);
    connection.over_limit = count >= options_.max_connections;
    try {  // the one place where the standard library reports a shortage (of threads) by exception
      connection.thread = std::thread([this, &connection] {
        handler_(connection.socket, connection.over_limit);
        connection.socket.EndTls();
        connection.socket.Shutdown();
        connection.done = true;
      });
    } catch (const std::system_error&) { connections_.pop_back(); }
  }
}

void TcpServer::JoinFinished() {
  std::list<Connection> finished;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = connections_.begin(); it != connections_.end();) {
      const auto next = std::next(it);
      if (it->done) finished.splice(finished.end(), connections_, it);
      it = next;
    }
  }
  for (Connection& each : finished) each.thread.join();
}

void TcpServer::Stop(const std::function<void()>& nudge, int64_t grace_us) {
  if (stopping_.exchange(true)) return;
  listener_.Wake();
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (Connection& each : connections_) each.socket.ShutdownRead();
  }
  constexpr int64_t kStepMicros = 10'000;
  for (int64_t waited = 0;; waited += kStepMicros) {
    if (nudge) nudge();
    JoinFinished();
    const std::lock_guard lock(mutex_);
    if (connections_.empty()) return;
    if (waited >= grace_us) {
      for (Connection& each : connections_) each.socket.Shutdown();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(kStepMicros));
  }
}

}  // namespace kappa::serve
