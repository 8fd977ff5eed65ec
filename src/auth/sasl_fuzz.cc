// Any bytes as a client's messages of an exchange: only the right proof may end it, whatever came before.
#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "auth/sasl.h"
#include "auth/sasl_testing.h"
#include "base/check.h"

using namespace kappa;
using namespace kappa::auth;

namespace {

constexpr std::string_view kPassword = "secret";

/// One user, "ann", in a file that is read once.
Users& TheUsers() {
  static const std::unique_ptr<Users> users = [] {
    std::string path = "/tmp/kappa_sasl_fuzz_XXXXXX";
    const int file = ::mkstemp(path.data());
    KAPPA_CHECK(file >= 0);
    ::close(file);
    ::unlink(path.c_str());
    Status made = ChangeUserFile(path, [](UserFile& all) {
      all.users["ann"] = MakeUser(kPassword, kIterationsMin);
      return Status::Ok();
    });
    KAPPA_CHECK(made.ok());
    auto opened = Users::Open(path);
    KAPPA_CHECK(opened.ok());
    ::unlink(path.c_str());  // a file that is gone leaves the users as they were
    return std::move(*opened);
  }();
  return *users;
}

/// "{r}" of the text is what the server gave.
std::string WithNonces(std::string_view text, std::string_view nonces) {
  std::string out(text);
  if (const size_t at = out.find("{r}"); at != out.npos) out.replace(at, 3, nonces);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const auto mechanism = static_cast<Mechanism>(data[0] % 3);
  const auto exchange = SaslExchange::Begin(mechanism, TheUsers());
  if ((data[0] & 8) != 0) exchange->SetUser("ann");  // as PostgreSQL's wire does
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string nonces;
  bool failed = false;
  for (int step = 0; step < 4; ++step) {  // messages end with a line
    const size_t end = std::min(input.find('\n'), input.size());
    const std::string message = WithNonces(input.substr(0, end), nonces);
    input.remove_prefix(std::min(end + 1, input.size()));
    const auto answer = exchange->Step(message);
    KAPPA_CHECK(answer.ok() || answer.error().Is(sqlstate::kInvalidPassword) || answer.error().Is(sqlstate::kProtocolViolation));
    KAPPA_CHECK(!(failed && answer.ok()));  // after a failure it is over
    failed |= !answer.ok();
    if (answer.ok() && exchange->done()) {
      KAPPA_CHECK(exchange->user() == "ann");
      // Nobody guesses a proof; the password of PLAIN is one that the fuzzer can find.
      KAPPA_CHECK(mechanism == Mechanism::kPlain && message.ends_with(std::string(1, '\0') + std::string(kPassword)));
    }
    if (answer.ok() && mechanism != Mechanism::kPlain && step == 0) nonces = ScramClient::Attribute(*answer, 'r');
  }
  return 0;
}
