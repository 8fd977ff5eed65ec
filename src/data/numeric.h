// Numeric: PostgreSQL's exact decimal, with NaN and both infinities. Results (digits, display scales, errors) are
// PostgreSQL 15's. The bytes in columns are described in numeric_bytes.h; hot loops decode small values with
// DecodeSmallNumeric and use this class for the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/int128.h"
#include "data/column.h"
#include "data/numeric_bytes.h"

namespace kappa::data {

/// An integer of any size (numeric_big.h).
struct BigInt;

class Numeric {
 public:
  enum class Kind : uint8_t { kFinite, kNan, kInfinity, kNegativeInfinity };

  Numeric() = default;  // 0
  /// coefficient / 10^scale, shown with `scale` (0..16383) digits after the point.
  explicit Numeric(int128_t coefficient, int scale = 0) : scale_(scale), small_(coefficient) {}
  static Numeric Special(Kind kind) {
    Numeric n;
    n.kind_ = kind;
    return n;
  }
  static Numeric Nan() { return Special(Kind::kNan); }
  static Numeric Infinity() { return Special(Kind::kInfinity); }
  static Numeric NegativeInfinity() { return Special(Kind::kNegativeInfinity); }
  /// `bytes` must have been made by AppendTo.
  static Numeric FromBytes(std::string_view bytes);
  /// PostgreSQL's input syntax. Fails with invalid_text_representation or numeric_value_out_of_range.
  static Result<Numeric> Parse(std::string_view text);
  /// 15 significant digits, as a cast from double precision.
  static Numeric FromDouble(double value);
  /// 6 significant digits, as a cast from real.
  static Numeric FromFloat(float value);

  Kind kind() const { return kind_; }
  bool is_finite() const { return kind_ == Kind::kFinite; }
  bool is_nan() const { return kind_ == Kind::kNan; }
  bool is_infinite() const { return kind_ == Kind::kInfinity || kind_ == Kind::kNegativeInfinity; }
  bool is_zero() const { return is_finite() && !big_ && small_ == 0; }
  /// -1, 0 or 1 (NaN: 0).
  int sign() const;
  /// Digits shown after the decimal point.
  int scale() const { return scale_; }
  /// The coefficient lies in small().
  bool is_small() const { return is_finite() && !big_; }
  int128_t small() const { return small_; }

  void AppendTo(std::string& bytes) const;
  std::string ToBytes() const {
    std::string bytes;
    AppendTo(bytes);
    return bytes;
  }
  /// Appends the bytes to a numeric column.
  void AppendTo(ColumnBuilder& builder) const;
  void AppendText(std::string& out) const;
  std::string ToString() const {
    std::string text;
    AppendText(text);
    return text;
  }

  /// Rounded half away from zero. Fail with numeric_value_out_of_range ("bigint out of range") or, for NaN and infinity,
  /// feature_not_supported, as PostgreSQL's casts do.
  Result<int64_t> ToInt8() const;
  Result<int32_t> ToInt4() const;
  Result<int16_t> ToInt2() const;
  /// Nearest double. Fails with numeric_value_out_of_range.
  Result<double> ToDouble() const;
  Result<float> ToFloat() const;

  /// Without trailing zeros after the point.
  Numeric Canonical() const;
  /// Rounded half away from zero, or extended with zeros, to `scale` digits after the point (round(x, scale)); negative
  /// scales round before the point. Fails with numeric_value_out_of_range when the result has too many digits.
  Result<Numeric> Round(int scale) const;
  Result<Numeric> Truncate(int scale) const;
  Result<Numeric> Ceiling() const;
  Result<Numeric> Floor() const;
  Numeric Negate() const;
  Numeric Abs() const { return sign() < 0 ? Negate() : *this; }
  /// Applies numeric(p,s). Fails with "numeric field overflow".
  Result<Numeric> ApplyModifier(int32_t modifier) const;

 private:
  friend struct NumericAccess;  // numeric_big.h: the big form, for the arithmetic in this folder

  Kind kind_ = Kind::kFinite;
  int32_t scale_ = 0;
  int128_t small_ = 0;
  std::shared_ptr<const BigInt> big_;  // set only when the coefficient does not fit in small_
};

// Arithmetic as PostgreSQL's operators. Fail with numeric_value_out_of_range ("value overflows numeric format") and
// division_by_zero.
Result<Numeric> Add(const Numeric& a, const Numeric& b);
Result<Numeric> Subtract(const Numeric& a, const Numeric& b);
Result<Numeric> Multiply(const Numeric& a, const Numeric& b);
Result<Numeric> Divide(const Numeric& a, const Numeric& b);
/// The remainder has the sign of `a`.
Result<Numeric> Modulo(const Numeric& a, const Numeric& b);
/// div(a, b): the quotient truncated to an integer.
Result<Numeric> DivideTruncated(const Numeric& a, const Numeric& b);
Result<Numeric> Sqrt(const Numeric& a);
/// With `scale` digits after the point, as PostgreSQL computes standard deviations.
Result<Numeric> Sqrt(const Numeric& a, int scale);
/// a ^ b.
Result<Numeric> Power(const Numeric& a, const Numeric& b);
Result<Numeric> Exp(const Numeric& a);
Result<Numeric> Ln(const Numeric& a);
/// log(base, a).
Result<Numeric> Log(const Numeric& base, const Numeric& a);

/// Total order: -Infinity, finite values, Infinity, NaN (equal to itself).
int Compare(const Numeric& a, const Numeric& b);
/// The same on column bytes; two small values of one scale cost a comparison.
int CompareNumericBytes(std::string_view a, std::string_view b);

}  // namespace kappa::data
