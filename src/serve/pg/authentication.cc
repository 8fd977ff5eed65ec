#include "serve/pg/authentication.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "auth/sasl.h"
#include "base/bytes.h"

namespace kappa::serve::pg {
namespace {

constexpr auto kFailureDelay = std::chrono::milliseconds(100);  // so that passwords cannot be tried quickly
const char* const kMechanism = auth::MechanismName(auth::Mechanism::kScramSha256);

/// The data of SASLInitialResponse: the mechanism's name, a length, the message.
Result<std::string_view> InitialMessage(std::string_view body) {
  const size_t end = body.find('\0');
  if (end == body.npos || body.substr(0, end) != kMechanism) {
    return Error(sqlstate::kProtocolViolation, "client selected an invalid SASL authentication mechanism")
        .Detail(fmt::format("There is {}.", kMechanism));
  }
  ByteReader reader(body.substr(end + 1));
  const auto length = reader.Big<int32_t>();
  const std::string_view message = body.substr(std::min(body.size(), end + 5));
  if (!reader.ok() || length < 0 || message.size() != static_cast<size_t>(length)) {
    return Error(sqlstate::kProtocolViolation, "malformed SASL initial response");
  }
  return message;
}

}  // namespace

Status Authenticate(FrameReader& reader, ResultSender& sender, auth::Users& users, std::string_view user, int64_t timeout_us) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::microseconds(timeout_us);
  const auto exchange = auth::SaslExchange::Begin(auth::Mechanism::kScramSha256, users);
  exchange->SetUser(user);
  sender.messages().AuthenticationSasl(kMechanism);
  for (bool first = true; !exchange->done(); first = false) {
    if (!sender.Flush()) return Error(sqlstate::kConnectionFailure, "connection lost during authentication");
    const int64_t left_us = std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()).count();
    const FrameReader::Status read = reader.ReadSmallFrame(left_us);
    if (read == FrameReader::Status::kTimeout) return Error(sqlstate::kConnectionFailure, "canceling authentication due to timeout");
    if (read == FrameReader::Status::kEnd) return Error(sqlstate::kConnectionFailure, "connection lost during authentication");
    if (read != FrameReader::Status::kFrame || reader.type() != 'p') return Error(sqlstate::kProtocolViolation, "expected SASL response");
    std::string_view message = reader.body();
    if (first) { KAPPA_ASSIGN_OR_RETURN(message, InitialMessage(message)); }
    Result<std::string> answer = exchange->Step(message);
    if (!answer.ok()) {
      std::this_thread::sleep_for(kFailureDelay);
      if (!answer.error().Is(sqlstate::kInvalidPassword)) return answer.error();
      return Error(sqlstate::kInvalidPassword, fmt::format("password authentication failed for user \"{}\"", user));
    }
    exchange->done() ? sender.messages().AuthenticationSaslFinal(*answer) : sender.messages().AuthenticationSaslContinue(*answer);
  }
  return Status::Ok();
}

}  // namespace kappa::serve::pg
