// SHA-2 (FIPS 180-4), for SQL's sha224() to sha512().
#pragma once

#include <string>
#include <string_view>

namespace kappa::expr {
/// The digest's bytes.
std::string Sha224(std::string_view bytes);
std::string Sha256(std::string_view bytes);
std::string Sha384(std::string_view bytes);
std::string Sha512(std::string_view bytes);
}  // namespace kappa::expr
