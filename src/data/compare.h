// The total order of values, for sorting, min and max: PostgreSQL's order of each type. NaN is the greatest number and equal
// to itself; text is ordered by its bytes (collation "C"); intervals by length; false before true.
#pragma once

#include <cstdint>
#include <string_view>

#include "data/column.h"

namespace kappa::data {

/// -1, 0 or 1. Both columns have the same type and neither row is NULL.
int CompareRows(const Column& a, int64_t i, const Column& b, int64_t j);

/// The comparison for one type, to be looked up once before a loop.
using RowComparator = int (*)(const Column& a, int64_t i, const Column& b, int64_t j);
RowComparator RowComparatorFor(Type type);

/// The same for physical values (Value::bytes).
int ComparePhysical(Type type, std::string_view a, std::string_view b);

}  // namespace kappa::data
