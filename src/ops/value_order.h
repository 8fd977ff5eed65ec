// The order of SQL values, on their physical bytes: for min, max and ORDER BY.
#pragma once

#include <string_view>

#include "data/column.h"

namespace kappa::ops {

/// <0, 0 or >0 for two non-NULL values of this type, as PostgreSQL's btree operators (text by bytes, NaN above all).
int CompareValues(const data::Type& type, std::string_view a, std::string_view b);
/// The bytes of a non-NULL value: a view of the column's memory.
inline std::string_view ValueBytes(const data::Column& column, int64_t row) {
  if (column.type().is_variable()) return column.bytes(row);
  auto width = static_cast<size_t>(column.type().width());
  return {column.data<char>() + static_cast<size_t>(row) * width, width};
}

}  // namespace kappa::ops
