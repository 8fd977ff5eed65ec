// Sums without rounding: integers of 256 bits, and fixed-point numbers that hold any sum of doubles or of their products.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/check.h"
#include "base/int128.h"

namespace kappa::ops {

/// The double nearest to head * 2^exponent, ties to even; `sticky` says that a positive remainder below the last bit of head was
/// cut off (then head must have at least 65 bits). Rounds once, also where the result is subnormal.
inline double RoundToDouble(uint128_t head, bool sticky, int exponent) {
  if (head == 0) return 0;
  const auto high = static_cast<uint64_t>(head >> 64);
  const int length = high != 0 ? 128 - std::countl_zero(high) : 64 - std::countl_zero(static_cast<uint64_t>(head));
  const int top = exponent + length - 1;                          // head lies in [2^top, 2^(top + 1))
  const int precision = top >= -1022 ? 53 : 53 - (-1022 - top);   // bits that a double has there
  if (precision < 0) return 0;
  const int drop = length - precision;
  if (drop <= 0) return std::ldexp(static_cast<double>(head), exponent);
  uint128_t mantissa = drop >= 128 ? 0 : head >> drop;
  const uint128_t rest = drop >= 128 ? head : head & ((static_cast<uint128_t>(1) << drop) - 1);
  const uint128_t half = static_cast<uint128_t>(1) << (drop - 1);
  if (rest > half || (rest == half && (sticky || (mantissa & 1) != 0))) ++mantissa;
  return std::ldexp(static_cast<double>(mantissa), exponent + drop);
}

/// Two's complement. Callers keep below 2^254 in magnitude.
struct Int256 {
  std::array<uint64_t, 4> words;  // lowest first

  bool negative() const { return (words[3] >> 63) != 0; }
  bool is_zero() const { return (words[0] | words[1] | words[2] | words[3]) == 0; }
  Int256 Negated() const {
    Int256 result = *this;
    bool carry = true;
    for (uint64_t& word : result.words) {
      word = ~word + (carry ? 1 : 0);
      carry = carry && word == 0;
    }
    return result;
  }
  Int256 Magnitude() const { return negative() ? Negated() : *this; }
  int BitLength() const {
    const Int256 magnitude = Magnitude();
    for (int i = 3; i >= 0; --i)
      if (magnitude.words[static_cast<size_t>(i)] != 0) return 64 * (i + 1) - std::countl_zero(magnitude.words[static_cast<size_t>(i)]);
    return 0;
  }
  Int256& operator+=(const Int256& other) {
    uint128_t carry = 0;
    for (size_t i = 0; i < 4; ++i) {
      carry += static_cast<uint128_t>(words[i]) + other.words[i];
      words[i] = static_cast<uint64_t>(carry);
      carry >>= 64;
    }
    return *this;
  }
  Int256& operator<<=(int bits) {
    const auto skip = static_cast<size_t>(bits / 64);
    const int rest = bits % 64;
    for (size_t i = 4; i-- > 0;) {
      uint64_t word = i >= skip ? words[i - skip] << rest : 0;
      if (rest != 0 && i > skip) word |= words[i - skip - 1] >> (64 - rest);
      words[i] = word;
    }
    return *this;
  }
  /// The caller sees to it that the product fits.
  Int256 Times(uint64_t factor) const {
    Int256 result = Magnitude();
    uint128_t carry = 0;
    for (uint64_t& word : result.words) {
      carry += static_cast<uint128_t>(word) * factor;
      word = static_cast<uint64_t>(carry);
      carry >>= 64;
    }
    return negative() ? result.Negated() : result;
  }
  /// magnitude * weight.
  static Int256 Product(uint128_t magnitude, bool negative, int64_t weight) {
    const uint64_t times = weight < 0 ? -static_cast<uint64_t>(weight) : static_cast<uint64_t>(weight);
    const Int256 product = Int256{{static_cast<uint64_t>(magnitude), static_cast<uint64_t>(magnitude >> 64), 0, 0}}.Times(times);
    return negative != (weight < 0) ? product.Negated() : product;
  }
};

/// A fixed-point number in units of 2^kUnit: digits of 32 bits in words of 64. Its bytes are stored in state.
template <int kDigits, int kUnit> struct FixedPoint {
  std::array<int64_t, kDigits> digits;

  bool IsZero() const {
    for (int64_t digit : digits)
      if (digit != 0) return false;
    return true;
  }
  /// Adds value * 2^exponent (exponent >= kUnit).
  void Add(const Int256& value, int exponent) {
    const Int256 magnitude = value.Magnitude();
    const int shift = exponent - kUnit;
    auto at = static_cast<size_t>(shift / 32);
    const int bits = shift % 32;
    uint64_t carry = 0;
    for (size_t half = 0; half < 8 || carry != 0; ++half, ++at) {
      const uint64_t part = half < 8 ? static_cast<uint32_t>(magnitude.words[half / 2] >> (half % 2 * 32)) : 0;
      const uint64_t digit = (part << bits) + carry;
      carry = digit >> 32;
      const auto low = static_cast<int64_t>(static_cast<uint32_t>(digit));
      if (low == 0) continue;
      KAPPA_CHECK(at < kDigits);
      digits[at] += value.negative() ? -low : low;
    }
    Carry();
  }
  FixedPoint& operator+=(const FixedPoint& other) {
    for (size_t i = 0; i < kDigits; ++i) digits[i] += other.digits[i];
    Carry();
    return *this;
  }
  /// Brings all digits but the last, which keeps the sign, into 0 .. 2^32 - 1.
  void Carry() {
    int64_t carry = 0;
    for (size_t i = 0; i + 1 < kDigits; ++i) {
      const int64_t sum = digits[i] + carry;
      carry = sum >> 32;
      digits[i] = sum - (carry << 32);
    }
    digits[kDigits - 1] += carry;
  }
  /// The magnitude's digits, after Carry; and whether the number is negative.
  std::pair<FixedPoint, bool> Split() const {
    FixedPoint magnitude = *this;
    const bool negative = digits[kDigits - 1] < 0;
    if (negative) {
      for (int64_t& digit : magnitude.digits) digit = -digit;
      magnitude.Carry();
    }
    return {magnitude, negative};
  }
  /// Nearest, ties to even; infinite when it is out of range.
  double ToDouble() const {
    const auto [magnitude, negative] = Split();
    int top = kDigits - 1;
    while (top >= 0 && magnitude.digits[static_cast<size_t>(top)] == 0) --top;
    if (top < 0) return 0;
    uint128_t head = 0;
    bool rest = false;
    for (int i = top; i >= 0; --i) {
      const auto digit = static_cast<uint64_t>(magnitude.digits[static_cast<size_t>(i)]);
      if (top - i < 3) head = head << 32 | digit;  // the last digit's 31 bits of room leave 128 enough
      else rest |= digit != 0;
    }
    const double value = RoundToDouble(head, rest, std::max(top - 2, 0) * 32 + kUnit);
    return negative ? -value : value;
  }
};

// Every finite double is a multiple of 2^-1074 below 2^1024; 70 * 32 bits = 2098 + 142 bits of room for weights.
using WideSum = FixedPoint<70, -1074>;
// Products of two doubles: 4196 bits, and as much room.
using WideProductSum = FixedPoint<136, -2148>;

/// A finite double as mantissa * 2^exponent, the mantissa odd or 0.
struct Decomposed {
  uint64_t mantissa;
  int exponent;
  bool negative;
};
inline Decomposed Decompose(double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  uint64_t mantissa = bits & ((1ULL << 52) - 1);
  int exponent = static_cast<int>(bits >> 52 & 0x7ff);
  if (exponent != 0) mantissa |= 1ULL << 52;
  else exponent = 1;
  if (mantissa == 0) return {0, 0, false};
  const int zeros = std::countr_zero(mantissa);
  return {mantissa >> zeros, exponent + zeros - 1075, (bits >> 63) != 0};
}

}  // namespace kappa::ops
