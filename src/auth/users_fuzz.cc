// Any bytes as the file of users, a verifier, base64: what is accepted must survive being written and read again.
#include <cstddef>
#include <cstdint>

#include "auth/users.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa::auth;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto file = UserFile::Parse("fuzz", input); file.ok()) {
    const std::string once = file->Text();
    KAPPA_CHECK(UserFile::Parse("fuzz", once)->Text() == once);
  }
  if (const auto verifier = ParseVerifier(input)) KAPPA_CHECK(VerifierText(*ParseVerifier(VerifierText(*verifier))) == VerifierText(*verifier));
  if (const auto bytes = FromBase64(input)) KAPPA_CHECK(FromBase64(Base64(*bytes)) == *bytes);
  return 0;
}
