// Sorting of row numbers by some columns.
#pragma once

#include <span>
#include <vector>

#include "data/batch.h"

namespace kappa::ops {

struct SortColumn {
  data::ColumnPtr column;
  bool descending = false;
  bool nulls_first = false;
};

/// Sorts `rows` (indexes into the columns); rows that compare equal keep their order.
void SortRows(std::span<const SortColumn> columns, std::vector<int32_t>& rows);

}  // namespace kappa::ops
