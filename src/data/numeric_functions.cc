// Roots, powers, exponentials and logarithms of numerics, rounded at the scale that PostgreSQL chooses.
#include <algorithm>
#include <cmath>

#include "data/numeric_big.h"

namespace kappa::data {
namespace {

// As in PostgreSQL's numeric.c.
constexpr int kSignificantDigitsMin = 16;
constexpr int kDisplayScaleMax = 1000;
constexpr int kResultScaleMax = 2000;
constexpr int kGroupDigits = 4;
constexpr double kLog10E = 0.434294481903252;
constexpr double kLn10 = 2.302585092994046;
constexpr const char* kInvalidArgumentForPower = "2201F";
constexpr const char* kInvalidArgumentForLogarithm = "2201E";

int ClampScale(int scale, int at_least) { return std::min(std::max({scale, at_least, 0}), kDisplayScaleMax); }

int FloorDivide(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// Power of ten of the leading digit; 0 for 0.
int Magnitude(const Numeric& n) { return n.is_zero() ? 0 : DigitCount(NumericAccess::Coefficient(n)) - 1 - n.scale(); }

// Near enough for estimates, without overflow: mantissa * 10^exponent.
double LogOfMagnitude(const Numeric& n) {  // log10 |n|
  Wide value = abs(NumericAccess::Coefficient(n));
  int digits = DigitCount(value);
  int dropped = std::max(digits - 17, 0);
  return std::log10(static_cast<double>(static_cast<uint64_t>(value / WidePowerOfTen(dropped)))) + dropped - n.scale();
}

// coefficient * 10^-scale as a fixed-point number with `bits` fraction bits.
Wide ToFixed(const Numeric& n, unsigned bits) { return (NumericAccess::Coefficient(n) << bits) / WidePowerOfTen(n.scale()); }

Result<Numeric> FromFixed(const Wide& fixed, unsigned bits, int scale) {
  return NumericAccess::Checked(DivideRounded(Wide(fixed * WidePowerOfTen(scale)), Wide(Wide(1) << bits)), scale);
}

unsigned BitsFor(int digits) { return static_cast<unsigned>(digits * 3.3219280948873623) + 64; }

// 2 * atanh(z), |z| well below 1.
Wide TwiceAtanh(const Wide& z, unsigned bits) {
  Wide square = (z * z) >> bits;
  Wide term = z, sum = z;
  for (int k = 3; !term.is_zero(); k += 2) {
    term = (term * square) >> bits;
    sum += term / k;
  }
  return sum * 2;
}

Wide LnTwo(unsigned bits) { return TwiceAtanh((Wide(1) << bits) / 3, bits); }

// ln of a positive fixed-point number.
Wide FixedLn(Wide x, unsigned bits) {
  Wide one = Wide(1) << bits;
  int halvings = static_cast<int>(msb(x)) - static_cast<int>(bits);
  if (halvings > 0) x >>= halvings;
  if (halvings < 0) x <<= -halvings;
  constexpr int kRoots = 6;  // each root halves the logarithm, so that the series converges faster
  for (int i = 0; i < kRoots; ++i) x = sqrt(Wide(x << bits));
  Wide ln = TwiceAtanh(((x - one) << bits) / (x + one), bits) << kRoots;
  return ln + LnTwo(bits) * halvings;
}

// e^x; the result has `bits` fraction bits.
Wide FixedExp(const Wide& x, unsigned bits) {
  Wide ln_two = LnTwo(bits);
  Wide doublings = x / ln_two;
  Wide rest = x - doublings * ln_two;
  if (rest < 0) {
    rest += ln_two;
    doublings -= 1;
  }
  constexpr int kSquarings = 8;
  rest >>= kSquarings;
  Wide sum = Wide(1) << bits, term = sum;
  for (int k = 1; !term.is_zero(); ++k) {
    term = ((term * rest) >> bits) / k;
    sum += term;
  }
  for (int i = 0; i < kSquarings; ++i) sum = (sum * sum) >> bits;
  int shift = static_cast<int>(doublings);
  if (shift >= 0) return sum << shift;
  return sum >> -shift;
}

// numeric.c: estimate_ln_dweight, the power of ten of ln(n).
int LnMagnitude(const Numeric& n) {
  if (n.sign() <= 0) return 0;
  if (Compare(n, Numeric(9, 1)) >= 0 && Compare(n, Numeric(11, 1)) <= 0) {
    Result<Numeric> rest = Subtract(n, Numeric(1));
    if (!rest.ok() || rest->is_zero()) return 0;
    int magnitude = Magnitude(*rest);
    int group = FloorDivide(magnitude, kGroupDigits);
    return group * kGroupDigits + (magnitude - group * kGroupDigits);
  }
  return static_cast<int>(std::log10(std::abs(LogOfMagnitude(n) * kLn10)));
}

Error Overflow() { return NumericOverflow(); }
Error BadPower(const char* message) { return Error(kInvalidArgumentForPower, message); }

Status CheckLogarithm(const Numeric& n) {
  if (n.is_nan() || n.sign() > 0) return {};
  return Error(kInvalidArgumentForLogarithm, n.sign() < 0 ? "cannot take logarithm of a negative number" : "cannot take logarithm of zero");
}

// ln(n) at `scale` digits, n finite and positive.
Result<Numeric> LnAt(const Numeric& n, int scale) {
  unsigned bits = BitsFor(scale + std::max(std::abs(Magnitude(n)), n.scale()) + 10);
  return FromFixed(FixedLn(ToFixed(n, bits), bits), bits, scale);
}

Result<Numeric> ExpAt(const Numeric& n, int scale, double log10_result) {
  unsigned bits = BitsFor(scale + static_cast<int>(std::abs(log10_result)) * 2 + 20);
  return FromFixed(FixedExp(ToFixed(n, bits), bits), bits, scale);
}

bool IsIntegral(const Numeric& n) { return n.is_infinite() || n.Canonical().scale() == 0; }

// A decimal floating-point number that keeps a bounded number of digits.
struct Floating {
  Wide coefficient;
  int64_t exponent = 0;
};
void Trim(Floating& n, int digits) {
  int excess = DigitCount(n.coefficient) - digits;
  if (excess <= 0) return;
  n.coefficient = DivideRounded(n.coefficient, WidePowerOfTen(excess));
  n.exponent += excess;
}

Result<Numeric> IntegerPower(const Numeric& base, int32_t exponent) {
  int scale = ClampScale(kSignificantDigitsMin, base.scale());
  if (exponent == 0) return Numeric(1).Round(scale);
  if (base.is_zero()) return Numeric(0, scale);
  if (exponent == 1) return base.Round(scale);
  double log10_result = LogOfMagnitude(base) * exponent;
  if (log10_result > 131072) return Overflow();
  if (log10_result + 1 < -scale) return Numeric(0, scale);
  // Every multiplication may lose half a unit of the last digit; there are at most 62.
  int digits = static_cast<int>(std::max(log10_result, 0.0)) + scale + 32 + static_cast<int>(std::max(-log10_result, 0.0));
  Floating power{Wide(1), 0}, square{NumericAccess::Coefficient(base), -base.scale()};
  for (uint32_t rest = static_cast<uint32_t>(std::abs(int64_t{exponent})); rest != 0; rest >>= 1) {
    if ((rest & 1) != 0) {
      power.coefficient *= square.coefficient;
      power.exponent += square.exponent;
      Trim(power, digits);
    }
    if (rest > 1) {
      square.coefficient *= square.coefficient;
      square.exponent *= 2;
      Trim(square, digits);
    }
  }
  int64_t shift = scale + (exponent > 0 ? power.exponent : -power.exponent);
  if (std::abs(shift) > 300'000) return shift > 0 ? Result<Numeric>(Overflow()) : Result<Numeric>(Numeric(0, scale));
  Wide factor = WidePowerOfTen(static_cast<int>(std::abs(shift)));
  Wide result;
  if (exponent > 0) {
    result = shift >= 0 ? Wide(power.coefficient * factor) : DivideRounded(power.coefficient, factor);
  } else {
    result = shift >= 0 ? DivideRounded(factor, power.coefficient) : DivideRounded(Wide(1), Wide(power.coefficient * factor));
  }
  return NumericAccess::Checked(std::move(result), scale);
}

// Powers where an operand is NaN or infinite.
Result<Numeric> SpecialPower(const Numeric& a, const Numeric& b) {
  if (a.is_nan()) return b.is_zero() ? Numeric(1) : Numeric::Nan();
  if (b.is_nan()) return a.is_finite() && Compare(a, Numeric(1)) == 0 ? Numeric(1) : Numeric::Nan();
  if (a.sign() == 0 && b.sign() < 0) return BadPower("zero raised to a negative power is undefined");
  if (a.sign() < 0 && !IsIntegral(b)) return BadPower("a negative number raised to a non-integer power yields a complex result");
  if (b.is_infinite()) {
    int order = Compare(a.Abs(), Numeric(1));
    if (order == 0) return Numeric(1);
    return (order > 0) == (b.sign() > 0) ? Numeric::Infinity() : Numeric(0);
  }
  if (b.sign() <= 0) return Numeric(b.sign() == 0 ? 1 : 0);
  if (a.sign() > 0) return Numeric::Infinity();
  Result<Numeric> odd = Modulo(b, Numeric(2));
  return odd.ok() && !odd->is_zero() ? Numeric::NegativeInfinity() : Numeric::Infinity();
}

}  // namespace

Result<Numeric> Sqrt(const Numeric& a) {
  if (a.is_nan()) return a;
  if (a.sign() < 0) return BadPower("cannot take square root of a negative number");
  if (a.is_infinite()) return a;
  int weight = FloorDivide(Magnitude(a), kGroupDigits);
  int root_digits = FloorDivide((weight + 1) * kGroupDigits, 2) - 1;
  return Sqrt(a, ClampScale(kSignificantDigitsMin - root_digits, a.scale()));
}

Result<Numeric> Sqrt(const Numeric& a, int scale) {
  KAPPA_CHECK(a.is_finite() && a.sign() >= 0);
  Wide square = NumericAccess::Coefficient(a);
  int shift = 2 * scale - a.scale();
  if (shift >= 0) square *= WidePowerOfTen(shift);
  else square /= WidePowerOfTen(-shift);
  Wide rest;
  Wide root = sqrt(square, rest);
  if (rest > root) root += 1;
  return NumericAccess::Checked(std::move(root), scale);
}

Result<Numeric> Exp(const Numeric& a) {
  if (a.is_nan()) return a;
  if (a.is_infinite()) return a.sign() > 0 ? a : Numeric(0);
  double value = a.is_zero() ? 0 : std::copysign(std::pow(10.0, LogOfMagnitude(a)), a.sign());
  double log10_result = value * kLog10E;
  int scale = ClampScale(kSignificantDigitsMin - static_cast<int>(std::clamp(log10_result, -1e6, 1e6)), a.scale());
  if (std::abs(value) >= kResultScaleMax * 3) return value > 0 ? Result<Numeric>(Overflow()) : Result<Numeric>(Numeric(0, scale));
  return ExpAt(a, scale, log10_result);
}

Result<Numeric> Ln(const Numeric& a) {
  KAPPA_RETURN_IF_ERROR(CheckLogarithm(a));
  if (!a.is_finite()) return a;
  return LnAt(a, ClampScale(kSignificantDigitsMin - LnMagnitude(a), a.scale()));
}

Result<Numeric> Log(const Numeric& base, const Numeric& a) {
  if (base.is_nan() || a.is_nan()) return Numeric::Nan();
  if (a.is_infinite()) KAPPA_RETURN_IF_ERROR(CheckLogarithm(a));
  KAPPA_RETURN_IF_ERROR(CheckLogarithm(base));
  KAPPA_RETURN_IF_ERROR(CheckLogarithm(a));
  if (base.is_infinite() || a.is_infinite()) {
    if (base.is_infinite()) return a.is_infinite() ? Numeric::Nan() : Numeric(0);
    return Numeric::Infinity();
  }
  int base_magnitude = LnMagnitude(base), magnitude = LnMagnitude(a);
  int scale = ClampScale(kSignificantDigitsMin - (magnitude - base_magnitude), std::max(base.scale(), a.scale()));
  int ln_scale = scale + std::max(std::abs(base_magnitude), std::abs(magnitude)) + 24;
  KAPPA_ASSIGN_OR_RETURN(Numeric ln_base, LnAt(base, ln_scale));
  KAPPA_ASSIGN_OR_RETURN(Numeric ln, LnAt(a, ln_scale));
  if (ln_base.is_zero()) return Error(sqlstate::kDivisionByZero, "division by zero");
  return NumericAccess::Checked(DivideRounded(Wide(NumericAccess::Coefficient(ln) * WidePowerOfTen(scale)), NumericAccess::Coefficient(ln_base)),
                                scale);
}

Result<Numeric> Power(const Numeric& a, const Numeric& b) {
  if (!a.is_finite() || !b.is_finite()) return SpecialPower(a, b);
  bool integral = IsIntegral(b);
  if (a.is_zero() && b.sign() < 0) return BadPower("zero raised to a negative power is undefined");
  if (a.sign() < 0 && !integral) return BadPower("a negative number raised to a non-integer power yields a complex result");
  if (integral) {
    Result<int32_t> exponent = b.ToInt4();
    if (exponent.ok()) return IntegerPower(a, *exponent);
  }
  if (a.is_zero()) return Numeric(0, kSignificantDigitsMin);
  bool negative = false;
  if (a.sign() < 0) {
    KAPPA_ASSIGN_OR_RETURN(Numeric odd, Modulo(b, Numeric(2)));
    negative = !odd.is_zero();
  }
  double ln_result = LogOfMagnitude(a) * kLn10 * (b.is_zero() ? 0 : std::copysign(std::pow(10.0, LogOfMagnitude(b)), b.sign()));
  if (std::abs(ln_result) > kResultScaleMax * 3.01) {
    return ln_result > 0 ? Result<Numeric>(Overflow()) : Result<Numeric>(Numeric(0, kDisplayScaleMax));
  }
  double log10_result = ln_result * kLog10E;
  int scale = ClampScale(kSignificantDigitsMin - static_cast<int>(log10_result), std::max(a.scale(), b.scale()));
  int digits = scale + static_cast<int>(std::abs(log10_result)) * 2 + std::max(Magnitude(b), 0) + 32;
  KAPPA_ASSIGN_OR_RETURN(Numeric ln, LnAt(a.Abs(), digits));
  // The product keeps all its digits: its scale stays far below the limit.
  Numeric product = NumericAccess::Make(NumericAccess::Coefficient(ln) * NumericAccess::Coefficient(b), ln.scale() + b.scale());
  KAPPA_ASSIGN_OR_RETURN(Numeric result, ExpAt(product, scale, log10_result));
  return negative ? result.Negate() : result;
}

}  // namespace kappa::data
