// OpenSSL's digests. The implementation is looked up once, as that takes longer than a short digest.
#include "expr/functions/message_digest.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace kappa::expr {

struct MessageDigest::Algorithm {
  EVP_MD* implementation;
};

MessageDigest::MessageDigest(const char* algorithm) : algorithm_(new Algorithm{EVP_MD_fetch(nullptr, algorithm, nullptr)}) {
  KAPPA_CHECK(algorithm_->implementation != nullptr);
}

std::string MessageDigest::operator()(std::string_view bytes) const {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  KAPPA_CHECK(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &size, algorithm_->implementation, nullptr) == 1);
  out.resize(size);
  return out;
}

}  // namespace kappa::expr
