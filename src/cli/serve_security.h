// What `kappa serve` is told about encryption and authentication, and what is made of it.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "auth/users.h"
#include "serve/kafka/server.h"
#include "serve/net/tls.h"
#include "serve/pg/server.h"

namespace kappa::cli {

struct SecurityOptions {
  serve::TlsOptions tls;
  std::string users_file;  // empty: "users" in the data folder
  std::vector<std::string> kafka_sasl;
  std::string pg_auth = "trust";
  bool plain_without_tls = false;
  int64_t authentication_timeout_ms = 10'000;
  int64_t session_lifetime_ms = 0;
};

void AddSecurityOptions(CLI::App& command, SecurityOptions& options);

/// Files that were read, for all listeners. Outlives them.
class Security {
 public:
  static Result<std::unique_ptr<Security>> Load(const SecurityOptions& options, const std::string& data_folder);

  void Apply(serve::KafkaServerOptions& options) const;
  void Apply(serve::PgServerOptions& options) const;
  /// True when SIGHUP means to read certificates again.
  bool reloads() const { return tls_ != nullptr; }
  /// Says on standard error how it went.
  void Reload();

 private:
  SecurityOptions options_;
  std::unique_ptr<serve::Tls> tls_;
  std::unique_ptr<auth::Users> users_;
  std::vector<auth::Mechanism> mechanisms_;
};

/// The file of users of a data folder, unless another is named.
std::string UsersFile(const std::string& named, const std::string& data_folder);

}  // namespace kappa::cli
