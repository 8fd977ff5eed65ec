// PgServer: the PostgreSQL wire (protocol 3.0). One thread and one engine session per connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "auth/users.h"
#include "base/error.h"
#include "engine/engine.h"
#include "serve/net/tls.h"

namespace kappa::serve {

struct PgServerOptions {
  std::string address = "127.0.0.1:5432";          // "host:port"; port 0 takes a free one
  bool insecure = false;                           // allow an address that is not loopback without TLS and authentication
  int max_connections = 200;
  // Who may connect. Both must outlive the server.
  const Tls* tls = nullptr;                        // not null: every connection is encrypted
  auth::Users* users = nullptr;                    // not null: clients authenticate with SCRAM-SHA-256
  int64_t startup_timeout_us = 30'000'000;         // for each of startup packet, TLS's handshake and authentication
  int64_t idle_timeout_us = 0;                     // between messages; 0: none
  int64_t frame_timeout_us = 60'000'000;           // between bytes inside a message
  int64_t write_stall_timeout_us = 300'000'000;    // for a client that takes nothing
  size_t message_bytes_max = 64 << 20;
  int statements_max = 10'000;                     // prepared statements per connection
  int portals_max = 1'000;                         // open portals per connection
};

class PgServer {
 public:
  /// Fails with object_in_use when the port is taken, invalid_parameter_value for a bad address; the hint names --pg.
  /// `engine` must outlive the server.
  static Result<std::unique_ptr<PgServer>> Start(PgServerOptions options, engine::Engine& engine);
  ~PgServer();  // stops

  /// As bound: "127.0.0.1:5433".
  std::string address() const;
  int connections() const;
  /// Cancels what runs, tells every client (57P01), and returns when all connections are closed.
  void Stop();

 private:
  struct Impl;
  explicit PgServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace kappa::serve
