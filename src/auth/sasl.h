// The server's side of the exchanges by which a client proves who it is. PostgreSQL and Kafka carry the same messages in different frames.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/users.h"
#include "base/error.h"

namespace kappa::auth {

enum class Mechanism : uint8_t { kScramSha256, kScramSha512, kPlain };
/// "SCRAM-SHA-256".
const char* MechanismName(Mechanism mechanism);
/// In any case.
std::optional<Mechanism> FindMechanism(std::string_view name);

/// One exchange. After an error it is over.
class SaslExchange {
 public:
  /// `users` must outlive it.
  static std::unique_ptr<SaslExchange> Begin(Mechanism mechanism, Users& users);
  virtual ~SaslExchange() = default;

  /// The answer to the client's next message. Fails with invalid_password when the proof is wrong or there is no such user, with the same words;
  /// with protocol_violation for a message out of form.
  virtual Result<std::string> Step(std::string_view message) = 0;
  bool done() const { return done_; }
  /// Whom the client says to be, any bytes; proved once done, and a user's name then.
  const std::string& user() const { return user_; }
  /// For wires on which the name comes before the exchange: what the messages say is not looked at.
  void SetUser(std::string_view name);

 protected:
  bool done_ = false;
  bool named_ = false;  // by SetUser
  std::string user_;
};

}  // namespace kappa::auth
