// Message digests, for SQL's md5() and sha224() to sha512().
#pragma once

#include <string>
#include <string_view>

namespace kappa::expr {

/// `algorithm`: "MD5", "SHA2-256" and the like, as OpenSSL names them. The digest's bytes.
class MessageDigest {
 public:
  explicit MessageDigest(const char* algorithm);
  std::string operator()(std::string_view bytes) const;

 private:
  struct Algorithm;
  const Algorithm* algorithm_;  // never freed: functions live as long as the process
};

}  // namespace kappa::expr
