// Errors that many kernels share, in PostgreSQL's wording.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/error.h"

namespace kappa::expr {

template <typename T> Error OutOfRange() {
  const char* message = std::is_same_v<T, int16_t>   ? "smallint out of range"
                        : std::is_same_v<T, int32_t> ? "integer out of range"
                                                     : "bigint out of range";
  return Error(sqlstate::kNumericValueOutOfRange, message);
}
inline Error DivisionByZero() { return Error(sqlstate::kDivisionByZero, "division by zero"); }
inline Error FloatOverflow() { return Error(sqlstate::kNumericValueOutOfRange, "value out of range: overflow"); }
inline Error FloatUnderflow() { return Error(sqlstate::kNumericValueOutOfRange, "value out of range: underflow"); }

}  // namespace kappa::expr
