// Batches of rows, and batches of changes: rows with weights.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/column.h"

namespace kappa::data {

/// Equal-length columns. `rows` counts even when there are no columns.
struct Batch {
  int64_t rows = 0;
  std::vector<ColumnPtr> columns;
};

/// A change is a row with a weight: +1 inserts it, -1 deletes one copy of it; other weights are that many copies.
/// An update is the old row with -1 and the new row with +1; within a batch the order of rows carries no meaning unless
/// the operator says so (arrival order: aggregates that depend on it are not part of the language yet).
struct ChangeBatch {
  int64_t rows = 0;
  std::vector<ColumnPtr> columns;
  std::shared_ptr<const std::vector<int64_t>> weights;  // null: every weight is +1

  ChangeBatch() = default;
  explicit ChangeBatch(Batch batch) : rows(batch.rows), columns(std::move(batch.columns)) {}
  int64_t weight(int64_t row) const { return weights ? (*weights)[static_cast<size_t>(row)] : 1; }
  Batch AsBatch() const { return {rows, columns}; }  // drops the weights
};

/// rows[i] for every i, with their weights.
ChangeBatch Gather(const ChangeBatch& batch, std::span<const int32_t> rows);
ChangeBatch Slice(const ChangeBatch& batch, int64_t from, int64_t count);
/// All parts have the same column types.
ChangeBatch Concatenate(std::span<const ChangeBatch> parts);

/// An empty batch with a column of each field's type.
Batch EmptyBatch(const Schema& schema);

}  // namespace kappa::data
