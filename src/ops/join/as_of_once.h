// The as-of join of a bounded run: both inputs are whole when it gives its rows.
#pragma once

#include "ops/operator.h"

namespace kappa::ops {

/// `lasting` takes over when too many rows are held: it keeps them in pages.
std::unique_ptr<Operator> MakeAsOfOnce(const plan::AsOfJoin& node, const OperatorOptions& options, std::unique_ptr<Operator> lasting);

}  // namespace kappa::ops
