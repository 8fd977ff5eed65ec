// The bytes of one value of a column, for code that treats all types alike.
#pragma once

#include <string_view>

#include "data/column.h"

namespace kappa::ops {

/// The physical bytes of a non-NULL value: a view of the column's memory.
inline std::string_view ValueBytes(const data::Column& column, int64_t row) {
  if (column.type().is_variable()) return column.bytes(row);
  auto width = static_cast<size_t>(column.type().width());
  return {column.data<char>() + static_cast<size_t>(row) * width, width};
}

}  // namespace kappa::ops
