// Rows of a batch that look alike: what depends on them alone is done once for each kind.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/column.h"

namespace kappa::data {

struct RepeatedRows {
  std::vector<int32_t> firsts;  // one row of each kind, ascending
  std::vector<int32_t> kinds;   // per row: index into firsts
};

/// Kinds of the rows by the bytes of these columns' values; rows of one kind are equal, rows of two kinds may be, too (numeric 1 and 1.0, or
/// where the search met a collision). nullopt when there are more than a quarter as many kinds as rows, which the first rows mostly tell.
/// Cost: a multiplication and a load for each value, two loads for each code.
std::optional<RepeatedRows> FindRepeatedRows(std::span<const ColumnPtr> columns, int64_t rows);

}  // namespace kappa::data
