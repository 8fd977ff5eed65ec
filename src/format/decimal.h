// Exact integers from decimal text, without a float in between.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace kappa::format {

enum class DecimalOutcome { kOk, kOutOfRange, kNotIntegral, kNotANumber };
enum class Rounding { kRefuse /* kNotIntegral */, kNearest /* halves away from zero */ };

/// `number` times 10^`shift` as an integer. The number is JSON's: minus, digits, fraction, exponent.
DecimalOutcome DecimalToInteger(std::string_view number, int shift, Rounding rounding, int64_t& value);

/// The value of 1 to 8 digits, without a loop. 8 bytes are readable at `digits`.
inline uint64_t UpToEightDigits(const char* digits, size_t count) {
  uint64_t chunk;
  std::memcpy(&chunk, digits, sizeof chunk);
  chunk = (chunk - 0x3030303030303030) << (64 - 8 * count);  // leading zeros instead of what follows
  chunk = chunk * 10 + (chunk >> 8);  // pairs of digits, then of pairs, as in simdjson's parse_eight_digits
  return (((chunk & 0x000000ff000000ff) * 0x000f424000000064) + (((chunk >> 16) & 0x000000ff000000ff) * 0x0000271000000001)) >> 32;
}

}  // namespace kappa::format
