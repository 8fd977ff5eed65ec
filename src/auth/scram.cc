#include "auth/scram.h"

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <charconv>

#include "base/check.h"

namespace kappa::auth {
namespace {

constexpr size_t kSaltBytesMax = 1024;

const EVP_MD* Algorithm(Hash hash) { return hash == Hash::kSha256 ? EVP_sha256() : EVP_sha512(); }
size_t HashBytes(Hash hash) { return hash == Hash::kSha256 ? 32 : 64; }
const char* Name(Hash hash) { return hash == Hash::kSha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512"; }
const unsigned char* Unsigned(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

std::string Digest(Hash hash, std::string_view bytes) {
  std::string out(HashBytes(hash), '\0');
  unsigned size = 0;
  KAPPA_CHECK(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &size, Algorithm(hash), nullptr) == 1);
  return out;
}

bool SameBytes(std::string_view a, std::string_view b) { return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

/// The part of `text` before `end`, which is taken off with it.
std::string_view Take(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

}  // namespace

std::string Hmac(Hash hash, std::string_view key, std::string_view message) {
  std::string out(HashBytes(hash), '\0');
  unsigned size = 0;
  KAPPA_CHECK(HMAC(Algorithm(hash), key.data(), static_cast<int>(key.size()), Unsigned(message), message.size(),
                   reinterpret_cast<unsigned char*>(out.data()), &size) != nullptr);
  return out;
}

std::string RandomBytes(size_t count) {
  std::string out(count, '\0');
  KAPPA_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) == 1);
  return out;
}

std::string Base64(std::string_view bytes) { return absl::Base64Escape(absl::string_view(bytes.data(), bytes.size())); }

std::optional<std::string> FromBase64(std::string_view text) {
  std::string bytes;
  // Unescape is lenient; what was written by Base64 is what it gives back.
  if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &bytes) || Base64(bytes) != text) return std::nullopt;
  return bytes;
}

Verifier MakeVerifier(Hash hash, std::string_view password, std::string salt, int iterations) {
  std::string salted(HashBytes(hash), '\0');
  KAPPA_CHECK(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), Unsigned(salt), static_cast<int>(salt.size()), iterations,
                                Algorithm(hash), static_cast<int>(salted.size()), reinterpret_cast<unsigned char*>(salted.data())) == 1);
  Verifier verifier{.hash = hash, .iterations = iterations, .salt = std::move(salt)};
  std::string client_key = Hmac(hash, salted, "Client Key");
  verifier.stored_key = Digest(hash, client_key);
  verifier.server_key = Hmac(hash, salted, "Server Key");
  OPENSSL_cleanse(client_key.data(), client_key.size());
  OPENSSL_cleanse(salted.data(), salted.size());
  return verifier;
}

bool PasswordFits(const Verifier& verifier, std::string_view password) {
  return SameBytes(MakeVerifier(verifier.hash, password, verifier.salt, verifier.iterations).stored_key, verifier.stored_key);
}

bool ProofFits(const Verifier& verifier, std::string_view message, std::string_view proof) {
  std::string key = Hmac(verifier.hash, verifier.stored_key, message);
  if (proof.size() != key.size()) return false;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<char>(key[i] ^ proof[i]);
  return SameBytes(Digest(verifier.hash, key), verifier.stored_key);
}

std::string ServerSignature(const Verifier& verifier, std::string_view message) { return Hmac(verifier.hash, verifier.server_key, message); }

std::string VerifierText(const Verifier& verifier) {
  return fmt::format("{}${}:{}${}:{}", Name(verifier.hash), verifier.iterations, Base64(verifier.salt), Base64(verifier.stored_key),
                     Base64(verifier.server_key));
}

std::optional<Verifier> ParseVerifier(std::string_view text) {
  Verifier verifier;
  const std::string_view name = Take(text, '$'), iterations = Take(text, ':'), salt = Take(text, '$'), stored = Take(text, ':');
  verifier.hash = name == Name(Hash::kSha512) ? Hash::kSha512 : Hash::kSha256;
  const auto [end, error] = std::from_chars(iterations.data(), iterations.data() + iterations.size(), verifier.iterations);
  if (name != Name(verifier.hash) || error != std::errc() || end != iterations.data() + iterations.size()) return std::nullopt;
  if (verifier.iterations < kIterationsMin || verifier.iterations > kIterationsMax) return std::nullopt;
  auto decoded_salt = FromBase64(salt), stored_key = FromBase64(stored), server_key = FromBase64(text);
  if (!decoded_salt || !stored_key || !server_key) return std::nullopt;
  if (decoded_salt->empty() || decoded_salt->size() > kSaltBytesMax) return std::nullopt;
  if (stored_key->size() != HashBytes(verifier.hash) || server_key->size() != HashBytes(verifier.hash)) return std::nullopt;
  verifier.salt = std::move(*decoded_salt);
  verifier.stored_key = std::move(*stored_key);
  verifier.server_key = std::move(*server_key);
  return verifier;
}

}  // namespace kappa::auth
