// HttpServer: REST over views, server-sent events, SQL, metrics and the console (docs/http.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"

namespace kappa::serve {

struct HttpServerOptions {
  std::string address = "127.0.0.1:8080";          // "host:port"; port 0 takes a free one
  bool insecure = false;                           // allow an address that is not loopback (there is no authentication yet)
  std::vector<std::string> hosts;                  // further names that a request's Host may have, without port
  int max_connections = 200;
  int max_subscriptions = 100;                     // connections that follow changes
  size_t header_bytes_max = 16 << 10;
  size_t body_bytes_max = 1 << 20;
  int64_t header_timeout_us = 10'000'000;          // for a whole header, and for each part of a body
  int64_t idle_timeout_us = 60'000'000;            // between requests
  int64_t write_stall_timeout_us = 30'000'000;     // for a client that takes nothing
  int64_t heartbeat_us = 15'000'000;               // between comments of an idle event stream
};

class HttpServer {
 public:
  /// `more_metrics` gives further Prometheus text for /metrics; may be empty. Fails with object_in_use when the port is taken,
  /// invalid_parameter_value for a bad address; the hint names --http. `engine` must outlive the server.
  static Result<std::unique_ptr<HttpServer>> Start(HttpServerOptions options, engine::Engine& engine, std::function<std::string()> more_metrics = {});
  ~HttpServer();  // stops

  /// As bound: "127.0.0.1:8080".
  std::string address() const;
  int connections() const;
  /// Cancels what runs, ends event streams, and returns when all connections are closed.
  void Stop();

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace kappa::serve
