// Upsert: turns a table's changelog (keyed upserts and deletes, in arrival order) into changes (old row -1, new row +1).
#pragma once

#include <memory>

#include "ops/operator.h"

namespace kappa::ops {

/// Input        batches in arrival order; weight +1 upserts the row by its primary key, -1 deletes by key (other columns
///              are ignored). Within a batch later rows win.
///              With a ttl its last column, which is not passed on, is when the change came; it never goes back.
/// State        the current row of every key; with a ttl the keys are a list in the order of their last changes.
/// Retractions  its output: one delete and/or one insert per key and batch, none when the row did not change. With a ttl (microseconds, 0: none)
///              rows whose last change is older than that are deleted at the end of an epoch.
std::unique_ptr<Operator> MakeUpsert(data::Schema schema, std::vector<int> primary_key, int64_t ttl_us = 0);

}  // namespace kappa::ops
