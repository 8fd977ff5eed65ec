#include "serve/kafka/authentication.h"

#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include <algorithm>

namespace kappa::serve::kafka {

SaslHandshakeResponse Authentication::Handshake(int16_t version, const SaslHandshakeRequest& request) {
  SaslHandshakeResponse response;
  if (!required() || exchange_ != nullptr) {
    response.error = Code::kIllegalSaslState;
    return response;
  }
  for (const auth::Mechanism offered : options_.mechanisms) response.mechanisms.push_back(auth::MechanismName(offered));
  const auto asked = auth::FindMechanism(request.mechanism);
  if (!asked || std::ranges::find(options_.mechanisms, *asked) == options_.mechanisms.end()) {
    response.error = Code::kUnsupportedSaslMechanism;
    return response;
  }
  mechanism_ = *asked;
  exchange_ = auth::SaslExchange::Begin(mechanism_, *options_.users);
  bare_ = version == 0;
  return response;
}

SaslAuthenticateResponse Authentication::Authenticate(std::string_view message, int64_t now_us, std::string& failure) {
  SaslAuthenticateResponse response;
  if (exchange_ == nullptr) {
    response.error = Code::kIllegalSaslState;
    response.text = "SaslAuthenticate without SaslHandshake";
    if (required()) failure = *response.text;
    return response;
  }
  Result<std::string> answer = exchange_->Step(message);
  if (answer.ok() && !exchange_->done()) {
    response.message.bytes = std::move(*answer);
    return response;
  }
  const std::unique_ptr<auth::SaslExchange> over = std::move(exchange_);
  if (answer.ok() && authenticated_ && user_ != over->user()) answer = Error(sqlstate::kInvalidAuthorization, "a session is renewed by its own user");
  if (!answer.ok()) {
    response.error = Code::kSaslAuthenticationFailed;
    response.text = "authentication failed: " + answer.error().message();
    const std::string& name = over->user();
    failure = fmt::format("authentication of user \"{}\" with {} failed: {}", absl::CHexEscape(absl::string_view(name.data(), name.size())),
                          auth::MechanismName(mechanism_), answer.error().message());
    return response;
  }
  authenticated_ = true;
  user_ = over->user();
  response.message.bytes = std::move(*answer);
  response.session_lifetime_ms = options_.session_lifetime_ms;
  ends_us_ = options_.session_lifetime_ms == 0 ? 0 : now_us + options_.session_lifetime_ms * 1000;
  return response;
}

}  // namespace kappa::serve::kafka
