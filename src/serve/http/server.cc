#include "serve/http/server.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "serve/http/access.h"
#include "serve/http/handler.h"
#include "serve/net/tcp_server.h"

namespace kappa::serve {
namespace {
constexpr auto kAbandonedCheckInterval = std::chrono::milliseconds(100);
}  // namespace

struct HttpServer::Impl {
  Impl(HttpServerOptions o, engine::Engine& engine, std::function<std::string()> m)
      : options(std::move(o)),
        more_metrics(std::move(m)),
        shared{engine, options, more_metrics, registry, stopping, subscriptions, http::HostOnly(options.address)} {}

  void Serve(Socket& socket, bool over_limit) {
    http::Handler handler(shared, socket);
    if (over_limit) return handler.Refuse(503, Error(sqlstate::kTooManyConnections, "too many connections"));
    http::RequestReader reader(socket, options);
    while (!stopping) {
      int status = 0;
      const auto request = reader.Next(status);
      if (!request) return;
      if (!request->ok()) return handler.Refuse(status, request->error());
      if (!handler.Serve(**request)) return;
    }
  }
  void Watch() {
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, kAbandonedCheckInterval, [this] { return stopped; })) registry.CancelAbandoned();
  }

  const HttpServerOptions options;
  const std::function<std::string()> more_metrics;
  ClientRegistry registry;
  std::atomic<bool> stopping{false};
  std::atomic<int> subscriptions{0};
  http::Shared shared;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopped = false;  // guarded by mutex
  std::unique_ptr<TcpServer> tcp;
  std::thread watcher;   // cancels what clients that left had running
};

Result<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options, engine::Engine& engine, std::function<std::string()> more_metrics) {
  auto impl = std::make_unique<Impl>(std::move(options), engine, std::move(more_metrics));
  Impl& state = *impl;
  TcpServerOptions tcp{
      .address = state.options.address, .flag = "--http", .insecure = state.options.insecure, .max_connections = state.options.max_connections};
  KAPPA_ASSIGN_OR_RETURN(state.tcp, TcpServer::Start(std::move(tcp), [&state](Socket& socket, bool over_limit) { state.Serve(socket, over_limit); }));
  state.watcher = std::thread([&state] { state.Watch(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { Stop(); }

std::string HttpServer::address() const { return impl_->tcp->address(); }

int HttpServer::connections() const { return impl_->tcp->connections(); }

void HttpServer::Stop() {
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
