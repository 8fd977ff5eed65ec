// Upsert: turns a table's changelog (keyed upserts and deletes, in arrival order) into changes (old row -1, new row +1).
#pragma once

#include <memory>

#include "ops/operator.h"

namespace kappa::ops {

/// Input        batches in arrival order; weight +1 upserts the row by its primary key, -1 deletes by key (other columns
///              are ignored). Within a batch later rows win.
/// State        the current row of every key.
/// Retractions  its output: one delete and/or one insert per key and batch, none when the row did not change.
std::unique_ptr<Operator> MakeUpsert(data::Schema schema, std::vector<int> primary_key);

}  // namespace kappa::ops
