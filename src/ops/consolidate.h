// Consolidation: a change batch as the plain rows that it amounts to.
#pragma once

#include <span>

#include "base/error.h"
#include "data/batch.h"

namespace kappa::ops {

/// All changes together, equal rows merged and rows of weight 0 gone; at the place where each first came. Values are equal
/// when they look the same.
data::ChangeBatch Consolidate(std::span<const data::ChangeBatch> changes);
/// Rows that Expand would give; fails as it does.
Result<int64_t> ExpandedRows(const data::ChangeBatch& changes);
/// Rows of weight n as n rows. Fails with internal_error for a negative weight: the row was never inserted.
Result<data::Batch> Expand(const data::ChangeBatch& changes);

}  // namespace kappa::ops
