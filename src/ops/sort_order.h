// Sorting of row numbers by some columns.
#pragma once

#include <span>
#include <vector>

#include "data/batch.h"
#include "plan/node.h"

namespace kappa::ops {

struct SortColumn {
  data::ColumnPtr column;
  bool descending = false;
  bool nulls_first = false;
};

/// The values of the keys for all rows of the batch.
Result<std::vector<SortColumn>> SortColumns(std::span<const plan::SortKey> keys, const data::Batch& batch, expr::EvalContext& context);
/// How row `a` compares with row `b`: negative, zero or positive.
int CompareSorted(std::span<const SortColumn> columns, int32_t a, int32_t b);
/// Sorts `rows` (indexes into the columns); rows that compare equal keep their order.
void SortRows(std::span<const SortColumn> columns, std::vector<int32_t>& rows);

}  // namespace kappa::ops
