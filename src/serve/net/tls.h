// Tls: the certificate, key and authorities that a server's encrypted connections are made with. Every listener uses the same.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/error.h"

struct ssl_st;
struct ssl_ctx_st;

namespace kappa::serve {

/// Files in PEM.
struct TlsOptions {
  std::string certificate;  // the server's, then those of intermediate authorities
  std::string key;          // without a passphrase
  std::string client_ca;    // not empty: clients must have a certificate of one of these authorities
};

/// TLS 1.2 and 1.3, without renegotiation, compression and resumption. Thread-safe.
class Tls {
 public:
  /// Fails with invalid_parameter_value, naming the flag and the file.
  static Result<std::unique_ptr<Tls>> Load(TlsOptions options);

  /// Reads the files again, for connections made from now on. After an error everything stays as it was.
  Status Reload();
  bool asks_for_certificates() const { return !options_.client_ca.empty(); }
  /// The server's end of a new connection, to be freed with SSL_free.
  ssl_st* NewConnection() const;

 private:
  explicit Tls(TlsOptions options) : options_(std::move(options)) {}

  const TlsOptions options_;
  mutable std::mutex mutex_;
  std::shared_ptr<ssl_ctx_st> context_;  // guarded by mutex_
};

/// The common name in the certificate that the client has shown; empty without one.
std::string TlsPeerName(const ssl_st* connection);
/// What OpenSSL last complained about in this thread, for people; empties its queue.
std::string TlsComplaint();
/// True for the first bytes of a TLS connection, which reach a port that does not expect them.
bool LooksLikeTls(std::string_view bytes);

}  // namespace kappa::serve
