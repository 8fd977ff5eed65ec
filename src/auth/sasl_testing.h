// For tests: the client's side of SCRAM.
#pragma once

#include <openssl/evp.h>

#include <string>
#include <string_view>

#include "auth/scram.h"
#include "base/check.h"

namespace kappa::auth {

struct ScramClient {
  Hash hash = Hash::kSha256;
  std::string user, password;
  std::string header = "n,,";
  std::string nonce = "rOprNGfwEbeRWgbNEkqO";
  bool own_nonce_twice = false;  // as librdkafka before 2.6.1

  std::string Bare() const { return "n=" + user + ",r=" + nonce; }
  std::string First() const { return header + Bare(); }
  /// Attributes of "r=..,s=..,i=..".
  static std::string Attribute(std::string_view challenge, char name) {
    const size_t at = name == 'r' ? 0 : challenge.find(std::string(",") + name + "=") + 1;
    return std::string(challenge.substr(at + 2, challenge.find(',', at) - at - 2));
  }
  std::string Final(std::string_view challenge) const {
    const std::string without_proof = "c=" + Base64(header) + ",r=" + (own_nonce_twice ? nonce : "") + Attribute(challenge, 'r');
    return without_proof + ",p=" + Base64(Proof(challenge, Bare() + "," + std::string(challenge) + "," + without_proof));
  }
  std::string Proof(std::string_view challenge, const std::string& message) const {
    const EVP_MD* algorithm = hash == Hash::kSha256 ? EVP_sha256() : EVP_sha512();
    const std::string salt = FromBase64(Attribute(challenge, 's')).value();
    auto bytes = [](auto& text) { return reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())); };
    std::string salted(static_cast<size_t>(EVP_MD_get_size(algorithm)), '\0');
    KAPPA_CHECK(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes(salt), static_cast<int>(salt.size()),
                                  std::stoi(Attribute(challenge, 'i')), algorithm, static_cast<int>(salted.size()), bytes(salted)) == 1);
    std::string key = Hmac(hash, salted, "Client Key"), stored(key.size(), '\0');
    KAPPA_CHECK(EVP_Digest(key.data(), key.size(), bytes(stored), nullptr, algorithm, nullptr) == 1);
    const std::string signature = Hmac(hash, stored, message);
    for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<char>(key[i] ^ signature[i]);
    return key;
  }
};

}  // namespace kappa::auth
