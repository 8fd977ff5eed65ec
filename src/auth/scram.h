// SCRAM's arithmetic (RFC 5802, RFC 7677): what is kept of a password, and how a client's proof is checked against it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kappa::auth {

enum class Hash : uint8_t { kSha256, kSha512 };

/// Of new passwords. RFC 7677 asks for 4096 at least.
inline constexpr int kIterations = 8192;
inline constexpr int kIterationsMin = 4096, kIterationsMax = 1'000'000;

/// What is kept of a password. Whoever reads it can check a proof, or try passwords, but cannot make a proof.
struct Verifier {
  Hash hash = Hash::kSha256;
  int iterations = 0;
  std::string salt, stored_key, server_key;  // bytes
};

/// Takes as long as the iterations ask for: some milliseconds.
Verifier MakeVerifier(Hash hash, std::string_view password, std::string salt, int iterations);
/// A password sent in clear. Takes as long as MakeVerifier.
bool PasswordFits(const Verifier& verifier, std::string_view password);
/// `message` is RFC 5802's AuthMessage.
bool ProofFits(const Verifier& verifier, std::string_view message, std::string_view proof);
/// Proves to the client that the server knows the verifier.
std::string ServerSignature(const Verifier& verifier, std::string_view message);

/// PostgreSQL's form, "SCRAM-SHA-256$8192:SALT$STORED:SERVER" with base64.
std::string VerifierText(const Verifier& verifier);
std::optional<Verifier> ParseVerifier(std::string_view text);

std::string Base64(std::string_view bytes);
/// Strict: no white space, nothing left over.
std::optional<std::string> FromBase64(std::string_view text);
/// RFC 2104, with the hash's length.
std::string Hmac(Hash hash, std::string_view key, std::string_view message);
std::string RandomBytes(size_t count);

}  // namespace kappa::auth
