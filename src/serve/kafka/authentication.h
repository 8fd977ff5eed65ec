// Authentication: whom a connection speaks for, and whether it may speak yet.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "auth/sasl.h"
#include "serve/kafka/protocol.h"
#include "serve/kafka/sasl_messages.h"
#include "serve/kafka/server.h"

namespace kappa::serve::kafka {

/// Of one connection. Order of events: SaslHandshake names a mechanism, SaslAuthenticate carries the messages of its exchange until the
/// user is known. Later the same pair renews the session (KIP-368).
class Authentication {
 public:
  explicit Authentication(const KafkaServerOptions& options) : options_(options) {}

  bool required() const { return options_.users != nullptr; }
  /// The first exchange is not over.
  bool pending() const { return required() && !authenticated_; }
  /// Only requests that lead to an authentication may be answered.
  bool Blocks(int64_t now_us) const { return pending() || (authenticated_ && ends_us_ != 0 && now_us > ends_us_); }
  bool exchanging() const { return exchange_ != nullptr; }
  /// The next frame is a message of the exchange without a header, as after SaslHandshake in version 0.
  bool takes_bare_message() const { return exchanging() && bare_; }
  /// Empty until known; else the user, or with TLS the common name of the client's certificate.
  const std::string& user() const { return user_; }
  void SetCertificateName(std::string name) { user_ = std::move(name); }

  SaslHandshakeResponse Handshake(int16_t version, const SaslHandshakeRequest& request);
  /// `failure` is set when the connection must end after the answer.
  SaslAuthenticateResponse Authenticate(std::string_view message, int64_t now_us, std::string& failure);

 private:
  const KafkaServerOptions& options_;
  auth::Mechanism mechanism_{};
  std::unique_ptr<auth::SaslExchange> exchange_;  // under way
  bool bare_ = false;
  bool authenticated_ = false;
  std::string user_;
  int64_t ends_us_ = 0;  // of the session; 0: never
};

}  // namespace kappa::serve::kafka
