// Numeric: representation, bytes, comparison and conversion.
#include "data/numeric.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "data/numeric_big.h"

namespace kappa::data {
namespace {

constexpr int kDigitsBeforePointMax = 131072;
constexpr int kResultScaleMax = 2000;  // PostgreSQL's NUMERIC_MAX_RESULT_SCALE bounds round() and trunc()
constexpr int128_t kInt128Max = static_cast<int128_t>(~uint128_t{0} >> 1);
constexpr int128_t kInt128Min = -kInt128Max - 1;

constexpr auto kPowers = [] {
  std::array<int128_t, kInt128PowersOfTen + 1> powers{};
  int128_t power = 1;
  for (int i = 0; i <= kInt128PowersOfTen; ++i) {
    powers[static_cast<size_t>(i)] = power;
    if (i < kInt128PowersOfTen) power *= 10;
  }
  return powers;
}();

enum class Rounding { kHalfAway, kTruncate };

Result<Numeric> Rescale(const Numeric& n, int scale, Rounding rounding) {
  if (!n.is_finite()) return n;
  scale = std::clamp(scale, -kResultScaleMax, kNumericScaleMax);
  int shift = scale - n.scale();
  int shown = std::max(scale, 0);
  if (n.is_small()) {
    int128_t out;
    if (shift == 0) return n;
    if (shift > 0) {
      if (shift <= kInt128PowersOfTen && !__builtin_mul_overflow(n.small(), PowerOfTen(shift), &out)) return Numeric(out, shown);
    } else if (-shift > kInt128PowersOfTen) {
      return Numeric(0, shown);  // |coefficient| < 1.8e38, half of 10^39
    } else {
      out = rounding == Rounding::kHalfAway ? DivideRounded(n.small(), PowerOfTen(-shift)) : n.small() / PowerOfTen(-shift);
      int128_t widened;
      if (scale >= 0) return Numeric(out, shown);
      if (-scale <= kInt128PowersOfTen && !__builtin_mul_overflow(out, PowerOfTen(-scale), &widened)) return Numeric(widened, 0);
      return NumericAccess::Checked(ToWide(out) * WidePowerOfTen(-scale), 0);
    }
  }
  Wide value = NumericAccess::Coefficient(n);
  if (shift >= 0) {
    value *= WidePowerOfTen(shift);
  } else {
    Wide divisor = WidePowerOfTen(-shift);
    value = rounding == Rounding::kHalfAway ? DivideRounded(value, divisor) : Wide(value / divisor);
    if (scale < 0) value *= WidePowerOfTen(-scale);
  }
  return NumericAccess::Checked(std::move(value), shown);
}

Error OutOfRange(const char* type) { return Error(sqlstate::kNumericValueOutOfRange, std::string(type) + " out of range"); }

template <typename T> Result<T> ToInteger(const Numeric& n, const char* type) {
  if (!n.is_finite()) {
    return Error(sqlstate::kFeatureNotSupported, std::string("cannot convert ") + (n.is_nan() ? "NaN" : "infinity") + " to " + type);
  }
  int128_t value = n.small();
  if (n.scale() > 0 || !n.is_small()) {
    KAPPA_ASSIGN_OR_RETURN(Numeric rounded, n.Round(0));
    if (!rounded.is_small()) return OutOfRange(type);
    value = rounded.small();
  }
  if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) return OutOfRange(type);
  return static_cast<T>(value);
}

}  // namespace

int128_t PowerOfTen(int exponent) { return kPowers[static_cast<size_t>(exponent)]; }

Wide WidePowerOfTen(int exponent) {
  if (exponent <= 18) return Wide(static_cast<int64_t>(PowerOfTen(exponent)));
  return boost::multiprecision::pow(Wide(10), static_cast<unsigned>(exponent));
}

Wide ToWide(int128_t value) {
  uint128_t magnitude = value < 0 ? ~static_cast<uint128_t>(value) + 1 : static_cast<uint128_t>(value);
  Wide wide = static_cast<uint64_t>(magnitude >> 64);
  wide <<= 64;
  wide |= static_cast<uint64_t>(magnitude);
  return value < 0 ? Wide(-wide) : wide;
}

int DigitCount(int128_t value) {
  uint128_t magnitude = value < 0 ? ~static_cast<uint128_t>(value) + 1 : static_cast<uint128_t>(value);
  if (magnitude == 0) return 0;
  uint64_t high = static_cast<uint64_t>(magnitude >> 64);
  int bits = high != 0 ? 128 - std::countl_zero(high) : 64 - std::countl_zero(static_cast<uint64_t>(magnitude));
  int digits = bits * 1233 >> 12;  // log10(2) as a fraction: right, or one too low
  if (digits > kInt128PowersOfTen || magnitude < static_cast<uint128_t>(kPowers[static_cast<size_t>(digits)])) return digits;
  return digits + 1;
}

int DigitCount(const Wide& value) {
  if (value.is_zero()) return 0;
  Wide magnitude = abs(value);
  int digits = static_cast<int>(static_cast<double>(msb(magnitude)) * 0.30102999566398119521);  // at most one too low
  return magnitude < WidePowerOfTen(digits) ? digits : magnitude < WidePowerOfTen(digits + 1) ? digits + 1 : digits + 2;
}

int128_t DivideRounded(int128_t value, int128_t divisor) {
  int128_t quotient = value / divisor;
  int128_t rest = value % divisor;
  bool negative = (value < 0) != (divisor < 0);
  uint128_t rest_size = rest < 0 ? ~static_cast<uint128_t>(rest) + 1 : static_cast<uint128_t>(rest);
  uint128_t divisor_size = divisor < 0 ? ~static_cast<uint128_t>(divisor) + 1 : static_cast<uint128_t>(divisor);
  if (rest_size >= divisor_size - rest_size) quotient += negative ? -1 : 1;
  return quotient;
}

Wide DivideRounded(const Wide& value, const Wide& divisor) {
  Wide quotient, rest;
  divide_qr(value, divisor, quotient, rest);
  if (abs(rest) * 2 >= abs(divisor)) quotient += (value.sign() < 0) != (divisor.sign() < 0) ? -1 : 1;
  return quotient;
}

Error NumericOverflow() { return Error(sqlstate::kNumericValueOutOfRange, "value overflows numeric format"); }

Numeric NumericAccess::Make(Wide coefficient, int scale) {
  static const Wide kMax = ToWide(kInt128Max);
  static const Wide kMin = ToWide(kInt128Min);
  if (coefficient <= kMax && coefficient >= kMin) {
    bool negative = coefficient.sign() < 0;
    Wide magnitude = abs(coefficient);
    uint128_t small = static_cast<uint128_t>(static_cast<uint64_t>(magnitude >> 64)) << 64 |
                      static_cast<uint64_t>(magnitude & std::numeric_limits<uint64_t>::max());
    return Numeric(static_cast<int128_t>(negative ? ~small + 1 : small), scale);
  }
  Numeric n;
  n.scale_ = scale;
  n.big_ = std::make_shared<const BigInt>(BigInt{std::move(coefficient)});
  return n;
}

Result<Numeric> NumericAccess::Checked(Wide coefficient, int scale) {
  constexpr double kBitsPerDigit = 3.3219280948873623;
  if (!coefficient.is_zero() && static_cast<double>(msb(abs(coefficient))) > (kDigitsBeforePointMax + scale - 1) * kBitsPerDigit &&
      DigitCount(coefficient) - scale > kDigitsBeforePointMax) {
    return NumericOverflow();
  }
  return Make(std::move(coefficient), scale);
}

int Numeric::sign() const {
  switch (kind_) {
    case Kind::kNan: return 0;
    case Kind::kInfinity: return 1;
    case Kind::kNegativeInfinity: return -1;
    case Kind::kFinite: break;
  }
  if (big_) return big_->value.sign();
  return small_ < 0 ? -1 : small_ > 0 ? 1 : 0;
}

Numeric Numeric::FromBytes(std::string_view bytes) {
  int128_t coefficient;
  int scale;
  if (DecodeSmallNumeric(bytes, coefficient, scale)) return Numeric(coefficient, scale);
  uint16_t head = NumericHead(bytes);
  NumericForm form = NumericFormOf(head);
  if (form == NumericForm::kSpecial) { return head == kNumericNan ? Nan() : head == kNumericInfinity ? Infinity() : NegativeInfinity(); }
  Wide value;
  auto begin = reinterpret_cast<const unsigned char*>(bytes.data());
  import_bits(value, begin + 2, begin + bytes.size(), 8, false);
  if (form == NumericForm::kLargeNegative) value = -value;
  return NumericAccess::Make(std::move(value), head & kNumericScaleMax);
}

void Numeric::AppendTo(std::string& bytes) const {
  uint16_t head = static_cast<uint16_t>(scale_);
  if (is_small()) {
    bytes += EncodeSmallNumeric(small_, scale_).view();
    return;
  }
  if (!is_finite()) {
    head = kind_ == Kind::kNan ? kNumericNan : kind_ == Kind::kInfinity ? kNumericInfinity : kNumericNegativeInfinity;
    bytes.append(reinterpret_cast<const char*>(&head), sizeof head);
    return;
  }
  NumericForm form = big_->value.sign() < 0 ? NumericForm::kLargeNegative : NumericForm::kLargePositive;
  head = static_cast<uint16_t>(head | static_cast<uint16_t>(form) << 14);
  bytes.append(reinterpret_cast<const char*>(&head), sizeof head);
  Wide magnitude = abs(big_->value);
  std::vector<unsigned char> octets;
  export_bits(magnitude, std::back_inserter(octets), 8, false);
  bytes.append(octets.begin(), octets.end());
}

void Numeric::AppendTo(ColumnBuilder& builder) const {
  if (is_small()) return builder.AppendBytes(EncodeSmallNumeric(small_, scale_).view());
  builder.AppendBytes(ToBytes());
}

Numeric Numeric::FromDouble(double value) {
  if (std::isnan(value)) return Nan();
  if (std::isinf(value)) return value > 0 ? Infinity() : NegativeInfinity();
  char text[64];
  int size = std::snprintf(text, sizeof text, "%.15g", value);
  return *Parse({text, static_cast<size_t>(size)});
}

Numeric Numeric::FromFloat(float value) {
  if (std::isnan(value)) return Nan();
  if (std::isinf(value)) return value > 0 ? Infinity() : NegativeInfinity();
  char text[64];
  int size = std::snprintf(text, sizeof text, "%.6g", static_cast<double>(value));
  return *Parse({text, static_cast<size_t>(size)});
}

Result<int64_t> Numeric::ToInt8() const { return ToInteger<int64_t>(*this, "bigint"); }
Result<int32_t> Numeric::ToInt4() const { return ToInteger<int32_t>(*this, "integer"); }
Result<int16_t> Numeric::ToInt2() const { return ToInteger<int16_t>(*this, "smallint"); }

Result<double> Numeric::ToDouble() const {
  constexpr int kExactPowers = 22;  // 10^22 is the largest power of ten that a double holds exactly
  if (is_small() && scale_ <= kExactPowers && small_ <= (int64_t{1} << 53) && small_ >= -(int64_t{1} << 53)) {
    return static_cast<double>(small_) / static_cast<double>(PowerOfTen(scale_));
  }
  if (is_nan()) return std::numeric_limits<double>::quiet_NaN();
  if (is_infinite()) return kind_ == Kind::kInfinity ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
  std::string text = ToString();
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) { return Error(sqlstate::kNumericValueOutOfRange, "\"" + text + "\" is out of range for type double precision"); }
  return value;
}

Result<float> Numeric::ToFloat() const {
  if (is_nan()) return std::numeric_limits<float>::quiet_NaN();
  if (is_infinite()) return kind_ == Kind::kInfinity ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
  std::string text = ToString();
  float value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return Error(sqlstate::kNumericValueOutOfRange, "\"" + text + "\" is out of range for type real");
  return value;
}

Numeric Numeric::Canonical() const {
  if (!is_finite() || scale_ == 0) return *this;
  if (is_small()) {
    if (small_ == 0) return Numeric();
    Numeric n = *this;
    while (n.scale_ > 0 && n.small_ % 10 == 0) {
      n.small_ /= 10;
      --n.scale_;
    }
    return n;
  }
  // Divides by halving powers of ten, so that many zeros cost few divisions.
  Wide value = big_->value;
  int scale = scale_;
  for (int step = std::bit_floor(static_cast<unsigned>(scale)); step > 0; step /= 2) {
    Wide quotient, rest;
    while (step <= scale) {
      divide_qr(value, WidePowerOfTen(step), quotient, rest);
      if (!rest.is_zero()) break;
      value = quotient;
      scale -= step;
    }
  }
  return NumericAccess::Make(std::move(value), scale);
}

Result<Numeric> Numeric::Round(int scale) const { return Rescale(*this, std::min(scale, kResultScaleMax), Rounding::kHalfAway); }
Result<Numeric> Numeric::Truncate(int scale) const { return Rescale(*this, std::min(scale, kResultScaleMax), Rounding::kTruncate); }

Result<Numeric> Numeric::Ceiling() const {
  KAPPA_ASSIGN_OR_RETURN(Numeric whole, Truncate(0));
  return Compare(whole, *this) < 0 ? Add(whole, Numeric(1)) : Result<Numeric>(whole);
}

Result<Numeric> Numeric::Floor() const {
  KAPPA_ASSIGN_OR_RETURN(Numeric whole, Truncate(0));
  return Compare(whole, *this) > 0 ? Subtract(whole, Numeric(1)) : Result<Numeric>(whole);
}

Numeric Numeric::Negate() const {
  if (kind_ == Kind::kInfinity) return NegativeInfinity();
  if (kind_ == Kind::kNegativeInfinity) return Infinity();
  if (is_nan()) return *this;
  if (is_small() && small_ != kInt128Min) return Numeric(-small_, scale_);
  return NumericAccess::Make(-NumericAccess::Coefficient(*this), scale_);
}

Result<Numeric> Numeric::ApplyModifier(int32_t modifier) const {
  if (modifier < 4 || is_nan()) return *this;
  int precision = NumericPrecision(modifier);
  int scale = NumericScale(modifier);
  const auto field = [&] { return "A field with precision " + std::to_string(precision) + ", scale " + std::to_string(scale); };
  if (is_infinite()) {
    return Error(sqlstate::kNumericValueOutOfRange, "numeric field overflow").Detail(field() + " cannot hold an infinite value.");
  }
  KAPPA_ASSIGN_OR_RETURN(Numeric rounded, Rescale(*this, scale, Rounding::kHalfAway));
  int digits = rounded.is_small() ? DigitCount(rounded.small_) : DigitCount(rounded.big_->value);
  // With a negative scale the coefficient holds the rounded-off zeros too: precision - scale digits before the point.
  if (digits > precision + std::max(-scale, 0)) {
    int before_point = precision - scale;
    return Error(sqlstate::kNumericValueOutOfRange, "numeric field overflow")
        .Detail(field() + " must round to an absolute value less than " +
                (before_point != 0 ? "10^" + std::to_string(before_point) : std::string("1")) + ".");
  }
  return rounded;
}

int Compare(const Numeric& a, const Numeric& b) {
  auto rank = [](const Numeric& n) {
    switch (n.kind()) {
      case Numeric::Kind::kNegativeInfinity: return 0;
      case Numeric::Kind::kFinite: return 1;
      case Numeric::Kind::kInfinity: return 2;
      case Numeric::Kind::kNan: break;
    }
    return 3;
  };
  if (!a.is_finite() || !b.is_finite()) return (rank(a) > rank(b)) - (rank(a) < rank(b));
  if (a.sign() != b.sign()) return a.sign() < b.sign() ? -1 : 1;
  int difference = a.scale() - b.scale();
  if (a.is_small() && b.is_small()) {
    int128_t x = a.small(), y = b.small();
    bool fits = std::abs(difference) <= kInt128PowersOfTen &&
                (difference == 0 ||
                 (difference < 0 ? !__builtin_mul_overflow(x, PowerOfTen(-difference), &x) : !__builtin_mul_overflow(y, PowerOfTen(difference), &y)));
    if (fits) return (x > y) - (x < y);
  }
  Wide x = NumericAccess::Coefficient(a), y = NumericAccess::Coefficient(b);
  if (difference < 0) x *= WidePowerOfTen(-difference);
  if (difference > 0) y *= WidePowerOfTen(difference);
  return x.compare(y) < 0 ? -1 : x.compare(y) > 0 ? 1 : 0;
}

int CompareNumericBytes(std::string_view a, std::string_view b) {
  int128_t x, y;
  int x_scale, y_scale;
  if (DecodeSmallNumeric(a, x, x_scale) && DecodeSmallNumeric(b, y, y_scale) && x_scale == y_scale) return (x > y) - (x < y);
  return Compare(Numeric::FromBytes(a), Numeric::FromBytes(b));
}

}  // namespace kappa::data
