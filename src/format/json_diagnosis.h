// Why a record is not a JSON object: a plain, slow reader that knows the place and the reason.
#pragma once

#include <string>
#include <string_view>

namespace kappa::format {

/// "invalid JSON at byte 17: expected ',' or '}'" (bytes count from 0), empty when the record is one well-formed JSON
/// object. Accepts exactly what JsonScanner accepts; the fuzzer holds the two against each other.
std::string JsonDiagnosis(std::string_view record);

/// Position of the first byte that is not valid UTF-8, npos when all is valid.
size_t InvalidUtf8At(std::string_view bytes);

}  // namespace kappa::format
