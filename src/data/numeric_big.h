// The big form of Numeric. For this folder's .cc files only: Boost is heavy.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>

#include "data/numeric.h"

namespace kappa::data {

using Wide = boost::multiprecision::cpp_int;

struct BigInt {
  Wide value;
};

/// 10^exponent for 0..38.
int128_t PowerOfTen(int exponent);
inline constexpr int kInt128PowersOfTen = 38;
/// 10^exponent for any exponent that a numeric can need.
Wide WidePowerOfTen(int exponent);
Wide ToWide(int128_t value);
/// Decimal digits of the magnitude; 0 has none.
int DigitCount(int128_t value);
int DigitCount(const Wide& value);
/// Quotient rounded half away from zero.
int128_t DivideRounded(int128_t value, int128_t divisor);
Wide DivideRounded(const Wide& value, const Wide& divisor);

struct NumericAccess {
  static Wide Coefficient(const Numeric& n) { return n.big_ ? n.big_->value : ToWide(n.small_); }
  static const Wide* Big(const Numeric& n) { return n.big_ ? &n.big_->value : nullptr; }
  /// Narrows to the small form where it fits. No bounds check.
  static Numeric Make(Wide coefficient, int scale);
  /// Fails when the value has more digits than PostgreSQL's numeric can hold.
  static Result<Numeric> Checked(Wide coefficient, int scale);
};

Error NumericOverflow();

}  // namespace kappa::data
