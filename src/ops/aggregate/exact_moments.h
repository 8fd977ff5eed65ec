// Sums of values and of their squares and products, as aggregate states keep them: exact, so that results are rounded once and
// neither order nor deletes leave a trace.
#pragma once

#include <optional>

#include "data/numeric.h"
#include "ops/aggregate/wide_sum.h"
#include "state/blob.h"

namespace kappa::ops {

/// A sum of doubles or of products of two: fast = words * 2^exponent, and a blob with a WideProductSum for what does not fit.
struct ExactSum {
  Int256 fast;
  int32_t exponent;
  uint32_t reserved;
  state::Ref wide;
};
static_assert(sizeof(ExactSum) == 48);

/// Adds mantissa * weight * 2^exponent.
void AddExact(ExactSum& sum, uint128_t mantissa, bool negative, int exponent, int64_t weight, state::Arena& blobs);
void DropExact(ExactSum& sum, state::Arena& blobs);

/// The five sums over pairs; those that a call does not need stay zero.
struct ExactSums {
  ExactSum x, y, xx, yy, xy;
};

// What the sums amount to, with the formulas of PostgreSQL's manual. Each is rounded once (ExactCorrelation twice); infinite when out
// of range. n > 0; nullopt for a division by zero.

/// sum / n.
double ExactMean(const ExactSum& sum, int64_t n, const state::Arena& blobs);
/// sum(a * b) - sum(a) * sum(b) / n, divided by `divisor`.
double ExactDeviation(const ExactSum& products, const ExactSum& a, const ExactSum& b, int64_t n, int64_t divisor, const state::Arena& blobs);
std::optional<double> ExactSlope(const ExactSums& sums, int64_t n, const state::Arena& blobs);
std::optional<double> ExactIntercept(const ExactSums& sums, int64_t n, const state::Arena& blobs);
std::optional<double> ExactCorrelation(const ExactSums& sums, int64_t n, const state::Arena& blobs);
/// 1 when all y are equal but x are not.
std::optional<double> ExactDetermination(const ExactSums& sums, int64_t n, const state::Arena& blobs);

/// The value of a 256-bit integer.
Result<data::Numeric> ToNumeric(const Int256& value);

}  // namespace kappa::ops
