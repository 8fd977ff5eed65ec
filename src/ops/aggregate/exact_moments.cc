// Exact sums: 256 bits hold products whose exponents lie within about 100 bits of each other, which is nearly all data.
#include "ops/aggregate/exact_moments.h"

#include <boost/multiprecision/cpp_int.hpp>
#include <cstring>

namespace kappa::ops {
namespace {

using Integer = boost::multiprecision::cpp_int;

/// mantissa * 2^exponent.
struct Exact {
  Integer mantissa;
  int exponent;
};

constexpr int kFastBits = 253;

WideProductSum LoadWide(const ExactSum& sum, const state::Arena& blobs) {
  WideProductSum wide{};
  if (sum.wide != 0) {
    std::string scratch;
    const std::string_view bytes = state::BlobView(blobs, sum.wide, scratch);
    KAPPA_CHECK(bytes.size() == sizeof wide);
    std::memcpy(&wide, bytes.data(), sizeof wide);
  }
  return wide;
}

bool AddFast(ExactSum& sum, Int256 change, int exponent) {
  if (sum.fast.is_zero()) {
    sum.fast = change;
    sum.exponent = exponent;
    return true;
  }
  const int shift = exponent - sum.exponent;
  if (shift >= 0) {
    if (shift > kFastBits || change.BitLength() + shift > kFastBits || sum.fast.BitLength() > kFastBits) return false;
    change <<= shift;
    sum.fast += change;
    return true;
  }
  if (-shift > kFastBits || sum.fast.BitLength() - shift > kFastBits || change.BitLength() > kFastBits) return false;
  sum.fast <<= -shift;
  sum.exponent = exponent;
  sum.fast += change;
  return true;
}

Integer ToInteger(const Int256& value) {
  const Int256 magnitude = value.Magnitude();
  Integer result;
  for (size_t i = 4; i-- > 0;) result = (result << 64) + magnitude.words[i];
  if (value.negative()) result = -result;
  return result;
}

/// The sum of both as one number.
Exact Load(const ExactSum& sum, const state::Arena& blobs) {
  if (sum.wide == 0) return {ToInteger(sum.fast), sum.exponent};
  WideProductSum wide = LoadWide(sum, blobs);
  if (!sum.fast.is_zero()) wide.Add(sum.fast, sum.exponent);
  const auto [magnitude, negative] = wide.Split();
  Exact result{0, -2148};
  for (size_t i = magnitude.digits.size(); i-- > 0;) result.mantissa = (result.mantissa << 32) + magnitude.digits[i];
  if (negative) result.mantissa = -result.mantissa;
  return result;
}

Exact Product(const Exact& a, const Exact& b) { return {a.mantissa * b.mantissa, a.exponent + b.exponent}; }

Exact Difference(Exact a, Exact b) {
  const int exponent = std::min(a.exponent, b.exponent);
  a.mantissa <<= static_cast<unsigned>(a.exponent - exponent);
  b.mantissa <<= static_cast<unsigned>(b.exponent - exponent);
  return {a.mantissa - b.mantissa, exponent};
}

/// n * sum(ab) - sum(a) * sum(b).
Exact Deviation(const ExactSum& products, const ExactSum& a, const ExactSum& b, int64_t n, const state::Arena& blobs) {
  Exact left = Load(products, blobs);
  left.mantissa *= n;
  return Difference(std::move(left), Product(Load(a, blobs), Load(b, blobs)));
}

/// numerator / denominator * 2^exponent, rounded once; the denominator is positive.
double Quotient(Integer numerator, const Integer& denominator, int exponent) {
  if (numerator == 0) return 0;
  const bool negative = numerator < 0;
  if (negative) numerator = -numerator;
  const auto length = [](const Integer& value) { return static_cast<int>(msb(value)) + 1; };
  const int shift = std::max(0, 100 + length(denominator) - length(numerator));
  Integer quotient, rest;
  divide_qr(Integer(numerator << static_cast<unsigned>(shift)), denominator, quotient, rest);
  bool sticky = rest != 0;
  const int excess = length(quotient) - 128;
  if (excess > 0) {
    sticky = sticky || lsb(quotient) < static_cast<unsigned>(excess);
    quotient >>= static_cast<unsigned>(excess);
  }
  const auto head = static_cast<uint128_t>(static_cast<uint64_t>(quotient >> 64)) << 64 | static_cast<uint64_t>(quotient & UINT64_MAX);
  const double value = RoundToDouble(head, sticky, exponent - shift + std::max(excess, 0));
  return negative ? -value : value;
}

}  // namespace

void AddExact(ExactSum& sum, uint128_t mantissa, bool negative, int exponent, int64_t weight, state::Arena& blobs) {
  if (mantissa == 0 || weight == 0) return;
  const Int256 change = Int256::Product(mantissa, negative, weight);
  if (AddFast(sum, change, exponent)) [[likely]]
    return;
  WideProductSum wide = LoadWide(sum, blobs);
  wide.Add(sum.fast, sum.exponent);
  wide.Add(change, exponent);
  sum.fast = {};
  DropExact(sum, blobs);
  if (!wide.IsZero()) sum.wide = state::StoreBlob(blobs, {reinterpret_cast<const char*>(&wide), sizeof wide});
}

void DropExact(ExactSum& sum, state::Arena& blobs) {
  if (sum.wide != 0) state::FreeBlob(blobs, sum.wide);
  sum.wide = 0;
}

double ExactMean(const ExactSum& sum, int64_t n, const state::Arena& blobs) {
  const Exact exact = Load(sum, blobs);
  return Quotient(exact.mantissa, n, exact.exponent);
}

double ExactDeviation(const ExactSum& products, const ExactSum& a, const ExactSum& b, int64_t n, int64_t divisor, const state::Arena& blobs) {
  const Exact deviation = Deviation(products, a, b, n, blobs);
  return Quotient(deviation.mantissa, Integer(n) * divisor, deviation.exponent);
}

std::optional<double> ExactSlope(const ExactSums& sums, int64_t n, const state::Arena& blobs) {
  const Exact xx = Deviation(sums.xx, sums.x, sums.x, n, blobs), xy = Deviation(sums.xy, sums.x, sums.y, n, blobs);
  if (xx.mantissa == 0) return std::nullopt;
  return Quotient(xy.mantissa, xx.mantissa, xy.exponent - xx.exponent);
}

std::optional<double> ExactIntercept(const ExactSums& sums, int64_t n, const state::Arena& blobs) {
  // (sum(y) sum(xx) - sum(x) sum(xy)) / (n sum(xx) - sum(x)^2)
  const Exact xx = Deviation(sums.xx, sums.x, sums.x, n, blobs);
  if (xx.mantissa == 0) return std::nullopt;
  const Exact numerator = Difference(Product(Load(sums.y, blobs), Load(sums.xx, blobs)), Product(Load(sums.x, blobs), Load(sums.xy, blobs)));
  return Quotient(numerator.mantissa, xx.mantissa, numerator.exponent - xx.exponent);
}

std::optional<double> ExactDetermination(const ExactSums& sums, int64_t n, const state::Arena& blobs) {
  const Exact xx = Deviation(sums.xx, sums.x, sums.x, n, blobs), yy = Deviation(sums.yy, sums.y, sums.y, n, blobs),
              xy = Deviation(sums.xy, sums.x, sums.y, n, blobs);
  if (xx.mantissa == 0) return std::nullopt;
  if (yy.mantissa == 0) return 1;
  return Quotient(xy.mantissa * xy.mantissa, xx.mantissa * yy.mantissa, 2 * xy.exponent - xx.exponent - yy.exponent);
}

std::optional<double> ExactCorrelation(const ExactSums& sums, int64_t n, const state::Arena& blobs) {
  if (Deviation(sums.yy, sums.y, sums.y, n, blobs).mantissa == 0) return std::nullopt;
  const std::optional<double> squared = ExactDetermination(sums, n, blobs);
  if (!squared) return std::nullopt;
  return Deviation(sums.xy, sums.x, sums.y, n, blobs).mantissa < 0 ? -std::sqrt(*squared) : std::sqrt(*squared);
}

Result<data::Numeric> ToNumeric(const Int256& value) {
  const Int256 magnitude = value.Magnitude();
  data::Numeric result;
  const data::Numeric word(static_cast<int128_t>(1) << 64);
  for (size_t i = 4; i-- > 0;) {
    KAPPA_ASSIGN_OR_RETURN(result, data::Multiply(result, word));
    KAPPA_ASSIGN_OR_RETURN(result, data::Add(result, data::Numeric(static_cast<int128_t>(magnitude.words[i]))));
  }
  return value.negative() ? result.Negate() : result;
}

}  // namespace kappa::ops
