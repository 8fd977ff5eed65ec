// Mathematical functions of double precision, integers, and random().
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <random>

#include "expr/functions/failures.h"
#include "expr/functions/register.h"
#include "expr/loops.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

constexpr const char* kInvalidLogarithmArgument = "2201E";
constexpr const char* kInvalidPowerArgument = "2201F";

Error InputOutOfRange() { return Error(sqlstate::kNumericValueOutOfRange, "input is out of range"); }

/// The result, unless it became infinite although the argument was not.
Result<double> Checked(double result, double argument) {
  if (std::isinf(result) && !std::isinf(argument)) return FloatOverflow();
  return result;
}

Result<double> Exp(double x) {
  if (std::isnan(x)) return x;
  if (std::isinf(x)) return x > 0 ? x : 0.0;
  const double result = std::exp(x);
  if (std::isinf(result)) return FloatOverflow();
  if (result == 0) return FloatUnderflow();
  return result;
}

Result<double> Logarithm(double x, double (*function)(double)) {
  if (x == 0) return Error(kInvalidLogarithmArgument, "cannot take logarithm of zero");
  if (x < 0) return Error(kInvalidLogarithmArgument, "cannot take logarithm of a negative number");
  return Checked(function(x), x);
}

Result<double> Power(double base, double exponent) {
  if (std::isnan(base)) return exponent == 0 ? 1.0 : base;
  if (std::isnan(exponent)) return base == 1 ? 1.0 : exponent;
  if (base == 0 && exponent < 0) return Error(kInvalidPowerArgument, "zero raised to a negative power is undefined");
  if (base < 0 && !std::isinf(exponent) && std::floor(exponent) != exponent) {
    return Error(kInvalidPowerArgument, "a negative number raised to a non-integer power yields a complex result");
  }
  const double result = std::pow(base, exponent);
  if (std::isinf(result) && !std::isinf(base) && !std::isinf(exponent)) return FloatOverflow();
  if (result == 0 && base != 0 && !std::isinf(base) && !std::isinf(exponent)) return FloatUnderflow();
  return result;
}

Kernel Unary(double (*function)(double)) {
  return [function](KernelCall& call) { return PureUnary<double, double>(call, [function](double x) { return function(x); }); };
}
/// For functions that have no value at infinity.
Kernel Periodic(double (*function)(double)) {
  return Rowwise([function](double x) -> Result<double> {
    if (std::isinf(x)) return InputOutOfRange();
    return Checked(function(x), x);
  });
}
/// For functions defined on [-1, 1].
Kernel OnUnitInterval(double (*function)(double)) {
  return Rowwise([function](double x) -> Result<double> {
    if (std::isnan(x)) return x;
    if (x < -1 || x > 1) return InputOutOfRange();
    return function(x);
  });
}

// Degrees with exact values where people expect them, as PostgreSQL's sind() and cosd().
double SinDegreesFirstQuadrant(double x) {
  static const double kSin30 = std::sin(30.0 * std::numbers::pi / 180);
  static const double kOneMinusCos60 = 1.0 - std::cos(60.0 * std::numbers::pi / 180);
  if (x <= 30) return std::sin(x * std::numbers::pi / 180) / kSin30 / 2;
  const double one_minus_cos = 1.0 - std::cos((90 - x) * std::numbers::pi / 180);
  return 1 - one_minus_cos / kOneMinusCos60 / 2;
}
double CosDegreesFirstQuadrant(double x) {
  static const double kSin30 = std::sin(30.0 * std::numbers::pi / 180);
  static const double kOneMinusCos60 = 1.0 - std::cos(60.0 * std::numbers::pi / 180);
  if (x <= 60) return 1 - (1.0 - std::cos(x * std::numbers::pi / 180)) / kOneMinusCos60 / 2;
  return std::sin((90 - x) * std::numbers::pi / 180) / kSin30 / 2;
}
/// Makes a finite angle one of 0 to 180 degrees, for functions that change their sign with the angle's: 1, or -1 where it does.
int FoldHalfTurn(double& x) {
  x = std::fmod(x, 360);
  int sign = 1;
  if (x < 0) {
    x = -x;
    sign = -sign;
  }
  if (x > 180) {
    x = 360 - x;
    sign = -sign;
  }
  return sign;
}
Result<double> SinDegrees(double x) {
  if (std::isnan(x)) return x;
  if (std::isinf(x)) return InputOutOfRange();
  const int sign = FoldHalfTurn(x);
  if (x > 90) x = 180 - x;
  return sign * SinDegreesFirstQuadrant(x);
}
Result<double> CosDegrees(double x) {
  if (std::isnan(x)) return x;
  if (std::isinf(x)) return InputOutOfRange();
  x = std::fabs(std::fmod(x, 360));
  int sign = 1;
  if (x > 180) x = 360 - x;
  if (x > 90) {
    x = 180 - x;
    sign = -sign;
  }
  return sign * SinDegreesFirstQuadrant(90 - x);
}

/// Tangent, or cotangent, of degrees.
template <bool cotangent> Result<double> TanDegrees(double x) {
  if (std::isnan(x)) return x;
  if (std::isinf(x)) return InputOutOfRange();
  int sign = FoldHalfTurn(x);
  if (x > 90) {
    x = 180 - x;
    sign = -sign;
  }
  static const double kTan45 = SinDegreesFirstQuadrant(45) / CosDegreesFirstQuadrant(45);
  const double sine = SinDegreesFirstQuadrant(x), cosine = CosDegreesFirstQuadrant(x);
  const double result = sign * (cotangent ? cosine / sine * kTan45 : sine / cosine / kTan45);
  return result == 0 ? 0 : result;  // without a sign
}
/// Arc sine in degrees of 0 to 1.
double AsinDegreesPositive(double x) {
  static const double kAsinHalf = std::asin(0.5), kAcosHalf = std::acos(0.5);
  return x <= 0.5 ? std::asin(x) / kAsinHalf * 30 : 90 - std::acos(x) / kAcosHalf * 60;
}
double AcosDegreesPositive(double x) {
  static const double kAsinHalf = std::asin(0.5), kAcosHalf = std::acos(0.5);
  return x <= 0.5 ? 90 - std::asin(x) / kAsinHalf * 30 : std::acos(x) / kAcosHalf * 60;
}
double AsinDegrees(double x) { return x >= 0 ? AsinDegreesPositive(x) : -AsinDegreesPositive(-x); }
double AcosDegrees(double x) { return x >= 0 ? AcosDegreesPositive(x) : 90 + AsinDegreesPositive(-x); }
double InDegrees(double radians) {
  static const double kAtanOne = std::atan(1.0);
  return radians / kAtanOne * 45;
}

std::mt19937_64& Generator() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return generator;
}
double Random() { return static_cast<double>(Generator()() >> 11) * 0x1.0p-53; }
std::string RandomUuid() {
  const uint64_t words[2] = {Generator()(), Generator()()};
  std::string bytes(reinterpret_cast<const char*>(words), sizeof words);
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x40);  // version 4
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);  // the RFC's variant
  return bytes;
}

template <typename T> Result<T> Gcd(T a, T b) {
  using U = std::make_unsigned_t<T>;
  const U result = std::gcd(a < 0 ? U{0} - static_cast<U>(a) : static_cast<U>(a), b < 0 ? U{0} - static_cast<U>(b) : static_cast<U>(b));
  if (result > static_cast<U>(std::numeric_limits<T>::max())) return OutOfRange<T>();
  return static_cast<T>(result);
}
template <typename T> Result<T> Lcm(T a, T b) {
  if (a == 0 || b == 0) return T{0};
  KAPPA_ASSIGN_OR_RETURN(const T divisor, Gcd<T>(a, b));
  T result;
  if (__builtin_mul_overflow(a / divisor, b, &result) || result == std::numeric_limits<T>::min()) return OutOfRange<T>();
  return result < 0 ? -result : result;
}

Result<int32_t> WidthBucket(double operand, double low, double high, int32_t count) {
  constexpr const char* kInvalidWidthBucket = "2201G";
  if (count <= 0) return Error(kInvalidWidthBucket, "count must be greater than zero");
  if (std::isnan(operand) || std::isnan(low) || std::isnan(high))
    return Error(kInvalidWidthBucket, "operand, lower bound, and upper bound cannot be NaN");
  if (std::isinf(low) || std::isinf(high)) return Error(kInvalidWidthBucket, "lower and upper bounds must be finite");
  if (low == high) return Error(kInvalidWidthBucket, "lower bound cannot equal upper bound");
  const bool ascending = low < high;
  if (ascending ? operand < low : operand > low) return 0;
  if (ascending ? operand >= high : operand <= high) {
    if (count == INT32_MAX) return OutOfRange<int32_t>();
    return count + 1;
  }
  // Halved where the distance of the bounds would overflow; rounding must not lead past the last bucket.
  const double part = std::isinf(high - low) ? (operand / 2 - low / 2) / (high / 2 - low / 2) : (operand - low) / (high - low);
  const double bucket = std::floor(part * count);
  return bucket >= count ? count : static_cast<int32_t>(bucket) + 1;
}

}  // namespace

void RegisterMath(Registry& registry) {
  const char* kUnary = "float8 -> float8";
  const char* kBinary = "float8, float8 -> float8";
  for (std::string_view name : {"ceil", "ceiling"}) registry.Function(name, kUnary, Unary(std::ceil), "nearest integer not below");
  registry.Function("floor", kUnary, Unary(std::floor), "nearest integer not above");
  registry.Function("round", kUnary, Unary(std::rint), "nearest integer, ties to even");
  registry.Function("trunc", kUnary, Unary(std::trunc), "integer part");
  registry.Function("sign", kUnary, Unary([](double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; }), "-1, 0 or 1");
  const Kernel square_root = Rowwise([](double x) -> Result<double> {
    if (x < 0) return Error(kInvalidPowerArgument, "cannot take square root of a negative number");
    return std::sqrt(x);
  });
  registry.Function("sqrt", kUnary, square_root, "square root");
  registry.Operator("|/", kUnary, square_root, "square root");
  registry.Function("cbrt", kUnary, Unary(std::cbrt), "cube root");
  registry.Operator("||/", kUnary, Unary(std::cbrt), "cube root");
  registry.Function("exp", kUnary, Rowwise([](double x) { return Exp(x); }), "e to the power");
  registry.Function("ln", kUnary, Rowwise([](double x) { return Logarithm(x, std::log); }), "natural logarithm");
  for (std::string_view name : {"log", "log10"}) {
    registry.Function(name, kUnary, Rowwise([](double x) { return Logarithm(x, std::log10); }), "logarithm to base 10");
  }
  registry.Operator("^", kBinary, Rowwise([](double a, double b) { return Power(a, b); }), "power");
  for (std::string_view name : {"power", "pow"}) registry.Function(name, kBinary, Rowwise([](double a, double b) { return Power(a, b); }), "power");
  registry.Function("pi", "-> float8", Rowwise([] { return std::numbers::pi; }), "the number pi");
  registry.Function("degrees", kUnary, Rowwise([](double x) { return Checked(x / (std::numbers::pi / 180), x); }), "radians to degrees");
  registry.Function("radians", kUnary, Rowwise([](double x) { return Checked(x * (std::numbers::pi / 180), x); }), "degrees to radians");
  registry.Function("sin", kUnary, Periodic(std::sin), "sine");
  registry.Function("cos", kUnary, Periodic(std::cos), "cosine");
  registry.Function("tan", kUnary, Periodic(std::tan), "tangent");
  registry.Function("cot", kUnary, Rowwise([](double x) -> Result<double> {
                      if (std::isinf(x)) return InputOutOfRange();
                      return 1.0 / std::tan(x);
                    }),
                    "cotangent");
  registry.Function("sind", kUnary, Rowwise([](double x) { return SinDegrees(x); }), "sine of degrees");
  registry.Function("cosd", kUnary, Rowwise([](double x) { return CosDegrees(x); }), "cosine of degrees");
  registry.Function("tand", kUnary, Rowwise([](double x) { return TanDegrees<false>(x); }), "tangent of degrees");
  registry.Function("cotd", kUnary, Rowwise([](double x) { return TanDegrees<true>(x); }), "cotangent of degrees");
  registry.Function("asind", kUnary, OnUnitInterval(AsinDegrees), "arc sine in degrees");
  registry.Function("acosd", kUnary, OnUnitInterval(AcosDegrees), "arc cosine in degrees");
  registry.Function("atand", kUnary, Rowwise([](double x) { return InDegrees(std::atan(x)); }), "arc tangent in degrees");
  registry.Function("atan2d", kBinary, Rowwise([](double y, double x) { return InDegrees(std::atan2(y, x)); }),
                    "arc tangent of the quotient in degrees");
  registry.Function("asin", kUnary, OnUnitInterval(std::asin), "arc sine");
  registry.Function("acos", kUnary, OnUnitInterval(std::acos), "arc cosine");
  registry.Function("atan", kUnary, Unary(std::atan), "arc tangent");
  registry.Function("atan2", kBinary, Rowwise([](double y, double x) { return std::atan2(y, x); }), "arc tangent of the quotient");
  registry.Function("sinh", kUnary, Rowwise([](double x) { return std::sinh(x); }), "hyperbolic sine");
  registry.Function("cosh", kUnary, Rowwise([](double x) { return std::cosh(x); }), "hyperbolic cosine");
  registry.Function("tanh", kUnary, Unary(std::tanh), "hyperbolic tangent");
  registry.Function("asinh", kUnary, Unary(std::asinh), "inverse hyperbolic sine");
  registry.Function("acosh", kUnary, Rowwise([](double x) -> Result<double> {
                      if (x < 1) return InputOutOfRange();
                      return std::acosh(x);
                    }),
                    "inverse hyperbolic cosine");
  registry.Function("atanh", kUnary, OnUnitInterval(std::atanh), "inverse hyperbolic tangent");
  registry.Function("random", "-> float8", Rowwise([] { return Random(); }), "a random number from 0 to below 1").Volatile();
  registry.Function("gen_random_uuid", "-> uuid", Rowwise([] { return RandomUuid(); }), "a random version 4 UUID").Volatile();
  registry.Function("gcd", "int4, int4 -> int4", Rowwise([](int32_t a, int32_t b) { return Gcd(a, b); }), "greatest common divisor");
  registry.Function("gcd", "int8, int8 -> int8", Rowwise([](int64_t a, int64_t b) { return Gcd(a, b); }), "greatest common divisor");
  registry.Function("lcm", "int4, int4 -> int4", Rowwise([](int32_t a, int32_t b) { return Lcm(a, b); }), "least common multiple");
  registry.Function("lcm", "int8, int8 -> int8", Rowwise([](int64_t a, int64_t b) { return Lcm(a, b); }), "least common multiple");
  registry.Function("width_bucket", "float8, float8, float8, int4 -> int4",
                    Rowwise([](double x, double low, double high, int32_t count) { return WidthBucket(x, low, high, count); }),
                    "number of the bucket of an equal-width histogram");
}

}  // namespace kappa::expr
