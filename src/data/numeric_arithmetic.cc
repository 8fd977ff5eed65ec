// Arithmetic on numerics, with PostgreSQL's rules for the scale of results.
#include <algorithm>
#include <climits>
#include <cmath>

#include "data/numeric_big.h"

namespace kappa::data {
namespace {

// Names as in PostgreSQL's numeric.c.
constexpr int kSignificantDigitsMin = 16;
constexpr int kDisplayScaleMax = 1000;
constexpr int kGroupDigits = 4;  // PostgreSQL stores base-10000 digits, and its scale rules count in them

using Kind = Numeric::Kind;

int FloorDivide(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

struct LeadingGroup {
  int weight = 0;  // the group's power of 10000
  int digit = 0;   // its value, 1..9999; 0 for zero
};

LeadingGroup LeadingGroupOf(const Numeric& n) {
  if (n.is_zero()) return {};
  int digits = n.is_small() ? DigitCount(n.small()) : DigitCount(NumericAccess::Coefficient(n));
  LeadingGroup group;
  group.weight = FloorDivide(digits - 1 - n.scale(), kGroupDigits);
  int shift = group.weight * kGroupDigits + n.scale();  // powers of ten below the group
  // The group has at most four digits, so a small value's needs no more than int128.
  if (n.is_small()) {
    int128_t group_value = shift >= 0 ? n.small() / PowerOfTen(shift) : n.small() * PowerOfTen(-shift);
    group.digit = std::abs(static_cast<int>(group_value));
  } else {
    Wide value = NumericAccess::Coefficient(n);
    group.digit = static_cast<int>(abs(shift >= 0 ? Wide(value / WidePowerOfTen(shift)) : Wide(value * WidePowerOfTen(-shift))));
  }
  return group;
}

// numeric.c: select_div_scale.
int DivisionScale(const Numeric& a, const Numeric& b) {
  LeadingGroup x = LeadingGroupOf(a), y = LeadingGroupOf(b);
  int weight = x.weight - y.weight;
  if (x.digit <= y.digit) --weight;
  int scale = kSignificantDigitsMin - weight * kGroupDigits;
  return std::min(std::max({scale, a.scale(), b.scale(), 0}), kDisplayScaleMax);
}

Error DivisionByZero() { return Error(sqlstate::kDivisionByZero, "division by zero"); }

// Both coefficients at the larger scale.
struct Aligned {
  Wide x, y;
  int scale;
};
Aligned Align(const Numeric& a, const Numeric& b) {
  Aligned out{NumericAccess::Coefficient(a), NumericAccess::Coefficient(b), std::max(a.scale(), b.scale())};
  if (a.scale() < out.scale) out.x *= WidePowerOfTen(out.scale - a.scale());
  if (b.scale() < out.scale) out.y *= WidePowerOfTen(out.scale - b.scale());
  return out;
}
bool AlignSmall(const Numeric& a, const Numeric& b, int128_t& x, int128_t& y) {
  if (!a.is_small() || !b.is_small()) return false;
  x = a.small();
  y = b.small();
  int difference = a.scale() - b.scale();
  if (difference == 0) return true;
  if (std::abs(difference) > kInt128PowersOfTen) return false;
  return difference < 0 ? !__builtin_mul_overflow(x, PowerOfTen(-difference), &x) : !__builtin_mul_overflow(y, PowerOfTen(difference), &y);
}

// Quotient of |a / b| rounded (or truncated) at `scale` digits.
Result<Numeric> DivideAt(const Numeric& a, const Numeric& b, int scale, bool rounded) {
  int shift = scale + b.scale() - a.scale();  // power of ten for the dividend
  if (a.is_small() && b.is_small() && std::abs(shift) <= kInt128PowersOfTen) {
    int128_t x = a.small(), y = b.small();
    bool fits = shift >= 0 ? !__builtin_mul_overflow(x, PowerOfTen(shift), &x) : !__builtin_mul_overflow(y, PowerOfTen(-shift), &y);
    bool extreme = y == -1;  // the minimum divided by -1 does not fit
    if (fits && !extreme) return Numeric(rounded ? DivideRounded(x, y) : x / y, scale);
  }
  Wide x = NumericAccess::Coefficient(a), y = NumericAccess::Coefficient(b);
  if (shift >= 0) x *= WidePowerOfTen(shift);
  else y *= WidePowerOfTen(-shift);
  return NumericAccess::Checked(rounded ? DivideRounded(x, y) : Wide(x / y), scale);
}

// The results of a division that involves NaN or infinity; not called for two finite operands.
Result<Numeric> DivideSpecial(const Numeric& a, const Numeric& b) {
  if (a.is_nan() || b.is_nan()) return Numeric::Nan();
  if (a.is_infinite()) {
    if (b.is_infinite()) return Numeric::Nan();
    if (b.sign() == 0) return DivisionByZero();
    return a.sign() == b.sign() ? Numeric::Infinity() : Numeric::NegativeInfinity();
  }
  return Numeric(0);
}

}  // namespace

Result<Numeric> Add(const Numeric& a, const Numeric& b) {
  if (!a.is_finite() || !b.is_finite()) {
    if (a.is_nan() || b.is_nan()) return Numeric::Nan();
    if (a.is_infinite() && b.is_infinite() && a.kind() != b.kind()) return Numeric::Nan();
    return a.is_infinite() ? a : b;
  }
  int128_t x, y;
  if (AlignSmall(a, b, x, y) && !__builtin_add_overflow(x, y, &x)) return Numeric(x, std::max(a.scale(), b.scale()));
  Aligned wide = Align(a, b);
  return NumericAccess::Checked(wide.x + wide.y, wide.scale);
}

Result<Numeric> Subtract(const Numeric& a, const Numeric& b) { return Add(a, b.Negate()); }

Result<Numeric> Multiply(const Numeric& a, const Numeric& b) {
  if (!a.is_finite() || !b.is_finite()) {
    if (a.is_nan() || b.is_nan() || a.sign() == 0 || b.sign() == 0) return Numeric::Nan();
    return a.sign() == b.sign() ? Numeric::Infinity() : Numeric::NegativeInfinity();
  }
  int scale = a.scale() + b.scale();
  int128_t product;
  if (a.is_small() && b.is_small() && scale <= kNumericScaleMax && !__builtin_mul_overflow(a.small(), b.small(), &product)) {
    return Numeric(product, scale);
  }
  Wide wide = NumericAccess::Coefficient(a) * NumericAccess::Coefficient(b);
  if (scale > kNumericScaleMax) {
    wide = DivideRounded(wide, WidePowerOfTen(scale - kNumericScaleMax));
    scale = kNumericScaleMax;
  }
  return NumericAccess::Checked(std::move(wide), scale);
}

Result<Numeric> Divide(const Numeric& a, const Numeric& b) {
  if (!a.is_finite() || !b.is_finite()) return DivideSpecial(a, b);
  if (b.is_zero()) return DivisionByZero();
  return DivideAt(a, b, DivisionScale(a, b), true);
}

Result<Numeric> DivideTruncated(const Numeric& a, const Numeric& b) {
  if (!a.is_finite() || !b.is_finite()) return DivideSpecial(a, b);
  if (b.is_zero()) return DivisionByZero();
  return DivideAt(a, b, 0, false);
}

Result<Numeric> Modulo(const Numeric& a, const Numeric& b) {
  if (!a.is_finite() || !b.is_finite()) {
    if (a.is_nan() || b.is_nan()) return Numeric::Nan();
    if (!a.is_infinite()) return a;
    if (b.sign() == 0) return DivisionByZero();
    return Numeric::Nan();
  }
  if (b.is_zero()) return DivisionByZero();
  int128_t x, y;
  int scale = std::max(a.scale(), b.scale());
  if (AlignSmall(a, b, x, y)) return Numeric(y == -1 ? 0 : x % y, scale);
  Aligned wide = Align(a, b);
  return NumericAccess::Checked(wide.x % wide.y, scale);
}

}  // namespace kappa::data
