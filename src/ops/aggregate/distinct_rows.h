// DistinctRows: SELECT DISTINCT over rows that never go. Each row goes on when it is seen for the first time.
#pragma once

#include <memory>

#include "ops/operator.h"

namespace kappa::ops {

/// For an aggregate that gives_first_rows().
Result<std::unique_ptr<Operator>> MakeDistinctRows(const plan::Aggregate& node, const OperatorOptions& options);

}  // namespace kappa::ops
