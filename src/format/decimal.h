// Exact integers from decimal text, without a float in between.
#pragma once

#include <cstdint>
#include <string_view>

namespace kappa::format {

enum class DecimalOutcome { kOk, kOutOfRange, kNotIntegral, kNotANumber };
enum class Rounding { kRefuse /* kNotIntegral */, kNearest /* halves away from zero */ };

/// `number` times 10^`shift` as an integer. The number is JSON's: minus, digits, fraction, exponent.
DecimalOutcome DecimalToInteger(std::string_view number, int shift, Rounding rounding, int64_t& value);

}  // namespace kappa::format
