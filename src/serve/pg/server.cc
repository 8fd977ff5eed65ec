#include "serve/pg/server.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "serve/net/client_registry.h"
#include "serve/net/tcp_server.h"
#include "serve/pg/connection.h"

namespace kappa::serve {
namespace {
constexpr auto kAbandonedCheckInterval = std::chrono::milliseconds(100);
}  // namespace

struct PgServer::Impl {
  Impl(PgServerOptions o, engine::Engine& e) : options(std::move(o)), engine(e) {}

  void Watch() {
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, kAbandonedCheckInterval, [this] { return stopped; })) registry.CancelAbandoned();
  }

  const PgServerOptions options;
  engine::Engine& engine;
  ClientRegistry registry;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopped = false;          // guarded by mutex
  std::atomic<bool> stopping{false};
  std::unique_ptr<TcpServer> tcp;
  std::thread watcher;           // cancels what clients that left had running
};

Result<std::unique_ptr<PgServer>> PgServer::Start(PgServerOptions options, engine::Engine& engine) {
  auto impl = std::make_unique<Impl>(std::move(options), engine);
  Impl& state = *impl;
  const bool knows_clients = state.options.tls != nullptr && (state.options.users != nullptr || state.options.tls->asks_for_certificates());
  TcpServerOptions tcp{.address = state.options.address,
                       .flag = "--pg",
                       .insecure = state.options.insecure || knows_clients,
                       .max_connections = state.options.max_connections};
  KAPPA_ASSIGN_OR_RETURN(state.tcp, TcpServer::Start(std::move(tcp), [&state](Socket& socket, bool over_limit) {
                           pg::Connection(socket, state.engine, state.registry, state.options, state.stopping).Run(over_limit);
                         }));
  state.watcher = std::thread([&state] { state.Watch(); });
  return std::unique_ptr<PgServer>(new PgServer(std::move(impl)));
}

PgServer::PgServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

PgServer::~PgServer() { Stop(); }

std::string PgServer::address() const { return impl_->tcp->address(); }

int PgServer::connections() const { return impl_->tcp->connections(); }

void PgServer::Stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopped) return;
    impl_->stopped = true;
  }
  impl_->wake.notify_all();
  impl_->watcher.join();
  impl_->stopping = true;
  impl_->tcp->Stop([this] { impl_->registry.CancelAll(); });
}

}  // namespace kappa::serve
