// MD5 (RFC 1321), for SQL's md5(). Not for security.
#pragma once

#include <string>
#include <string_view>

namespace kappa::expr {
/// The digest as 32 hexadecimal digits.
std::string Md5Hex(std::string_view bytes);
}  // namespace kappa::expr
